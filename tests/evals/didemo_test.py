"""Rank@1, Rank@5 and mean IoU over the best three annotators, against loops over lists."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import didemo

moments = st.sampled_from(didemo.MOMENTS)


def chunk_iou(a: tuple[int, int], b: tuple[int, int]) -> float:
  one, other = set(range(a[0], a[1] + 1)), set(range(b[0], b[1] + 1))
  return len(one & other) / len(one | other)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.permutations(didemo.MOMENTS), st.lists(moments, min_size=1, max_size=7)),
        min_size=1, max_size=4,
    )
)
def test_equals_loops(rows) -> None:
  rank_1, rank_5, overlap = [], [], []
  for order, times in rows:
    ranks = sorted(list(order).index(moment) + 1 for moment in times)[:3]
    rank_1.append(sum(ranks) / len(ranks) <= 1)
    rank_5.append(sum(ranks) / len(ranks) <= 5)
    ious = sorted((chunk_iou(order[0], moment) for moment in times), reverse=True)[:3]
    overlap.append(sum(ious) / len(ious))
  scores = np.array([[-list(order).index(m) for m in didemo.MOMENTS] for order, _ in rows])
  found = didemo.accuracy(scores, [times for _, times in rows], resamples=3)
  assert found["rank_at_1"] == pytest.approx(100 * np.mean(rank_1))
  assert found["rank_at_5"] == pytest.approx(100 * np.mean(rank_5))
  assert found["mean_iou"] == pytest.approx(100 * np.mean(overlap))
  assert json.loads(json.dumps(found)) == found


def test_moments() -> None:
  assert len(set(didemo.MOMENTS)) == 21
  assert all(0 <= first <= last < 6 for first, last in didemo.MOMENTS)


def test_constant_scores_are_chance() -> None:
  """Three that agree: first with 1/21, among five with 5/21; three that differ: never first."""
  agree = didemo.accuracy(np.zeros((400, 21)), [[[2, 3]] * 3] * 400, resamples=3)
  assert agree["rank_at_1"] == pytest.approx(100 / 21, abs=0.4)
  assert agree["rank_at_5"] == pytest.approx(500 / 21, abs=0.8)
  assert agree["mean_iou"] == pytest.approx(100 * didemo.moment_iou()[didemo.MOMENTS.index((2, 3))]
                                            .mean(), abs=0.8)
  differ = didemo.accuracy(np.zeros((100, 21)), [[[0, 0], [1, 1], [2, 2]]] * 100, resamples=3)
  assert differ["rank_at_1"] == 0.0
  assert agree == didemo.accuracy(np.zeros((400, 21)), [[[2, 3]] * 3] * 400, resamples=3)


def test_moments_behind_the_videos_end_rank_last() -> None:
  scores = np.zeros((1, 21))
  scores[0, didemo.MOMENTS.index((0, 1))] = 1.0
  scores[0, didemo.MOMENTS.index((5, 5))] = np.nan  # Not there, so its score says nothing.
  mask = np.array([[last < 5 for _, last in didemo.MOMENTS]])
  assert didemo.accuracy(scores, [[[0, 1]] * 4], mask=mask, resamples=2)["rank_at_1"] == 100.0
  assert didemo.accuracy(scores, [[[5, 5]] * 4], mask=mask, resamples=2)["rank_at_5"] == 0.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": np.zeros((0, 21)), "times": []}, "the split has no sentence"),
        ({"scores": np.zeros((2, 20))}, r"scores .*\(2, 20\): .*\[sentences, 21 moments\]"),
        ({"times": [[[0, 0]]]}, "1 times for 2 examples"),
        ({"times": [[[0, 0]], [[3, 2]]]}, r"sentence 1 has the times \[\[3, 2\]\]"),
        ({"times": [[[0, 0]], []]}, r"sentence 1 has the times \[\]"),
        ({"times": [[[0, 6]], [[0, 0]]]}, "sentence 0 has the times"),
        ({"scores": np.full((2, 21), np.nan)}, "scores of example 0 is not finite"),
        ({"clusters": np.zeros(1)}, "1 clusters for 2 examples"),
    ],
)
def test_bad_input(change: dict, said: str) -> None:
  inputs = {"scores": np.zeros((2, 21)), "times": [[[0, 0]], [[1, 1]]]} | change
  with pytest.raises(UserError, match=said):
    didemo.accuracy(**inputs, resamples=2)
