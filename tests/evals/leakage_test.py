"""Shared videos and texts by hand and against loops."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import leakage


def test_by_hand() -> None:
  found = leakage.overlap(
      ["v1", "v1", "v2"], ["A dog runs.", "a cat", "what  is it?"],
      ["v2", "v3", "v2", "v4"], ["what is it", "a dog runs", "who?", "none"],
  )
  assert found["videos"] == {"a": 2, "b": 3, "shared": 1, "examples": ["v2"]}
  assert found["texts"] == {
      "a": 3, "b": 4, "b_about_shared_videos": 2, "b_in_a": 2, "b_in_a_same_video": 1,
      "examples": ["a dog runs", "what is it"],
  }


rows = st.lists(st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcde")), min_size=1)


@given(rows, rows)
def test_equals_loops(a, b) -> None:
  found = leakage.overlap(*zip(*a, strict=True), *zip(*b, strict=True))
  assert found["videos"]["shared"] == len({v for v, _ in b for w, _ in a if v == w})
  assert found["texts"]["b_about_shared_videos"] == sum(any(v == w for w, _ in a) for v, _ in b)
  assert found["texts"]["b_in_a"] == sum(any(t == s for _, s in a) for _, t in b)
  assert found["texts"]["b_in_a_same_video"] == sum(pair in a for pair in b)


def test_empty_sets_and_odd_lengths() -> None:
  with pytest.raises(UserError, match="0 videos for 0 texts of A"):
    leakage.overlap([], [], ["v"], ["t"])
  with pytest.raises(UserError, match="1 videos for 2 texts of B"):
    leakage.overlap(["v"], ["t"], ["v"], ["t", "s"])
