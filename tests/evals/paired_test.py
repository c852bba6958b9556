"""Paired differences against enumeration, against theory, and on runs that are alike."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import paired


def enumerated_p_value(a: np.ndarray, b: np.ndarray, clusters: np.ndarray) -> float:
  """Swaps the runs inside every subset of the clusters, in integers."""
  names = sorted(set(clusters.tolist()))
  seen, extreme, tried = abs(int((b - a).sum())), 0, 0
  for swapped in itertools.product([False, True], repeat=len(names)):
    sign = {name: -1 if swap else 1 for name, swap in zip(names, swapped, strict=True)}
    total = sum(
        sign[c] * (y - x) for x, y, c in zip(a.tolist(), b.tolist(), clusters.tolist(), strict=True)
    )
    extreme, tried = extreme + (abs(total) >= seen), tried + 1
  return extreme / tried


@settings(max_examples=40)
@given(st.integers(1, 20), st.integers(1, 7), st.integers(0, 1000))
def test_equals_enumeration(count: int, videos: int, seed: int) -> None:
  rng = np.random.default_rng(seed)
  a, b = rng.integers(0, 3, (2, count))
  clusters = rng.integers(0, videos, count)
  found = paired.paired_difference(a, b, clusters, resamples=128, seed=seed)
  assert found.mean == pytest.approx(b.mean() - a.mean())
  assert found.p_value == pytest.approx(enumerated_p_value(a, b, clusters))
  assert found.interval[0] - 1e-12 <= found.interval[1]
  # The same values times a third are not exact in binary, and just as extreme.
  scaled = paired.paired_difference(a / 3, b / 3, clusters, resamples=128, seed=seed)
  assert scaled.p_value == found.p_value


def test_swapping_the_runs_changes_the_sign_alone() -> None:
  rng = np.random.default_rng(0)
  a, b, clusters = rng.random(300), rng.random(300) + 0.05, np.arange(300) // 4
  one = paired.paired_difference(a, b, clusters, resamples=500, seed=1)
  other = paired.paired_difference(b, a, clusters, resamples=500, seed=1)
  assert other.mean == pytest.approx(-one.mean)
  np.testing.assert_allclose(other.interval, [-one.interval[1], -one.interval[0]])
  assert other.p_value == one.p_value


def test_equals_the_normal_test_where_that_holds() -> None:
  """Of independent differences: interval mean +- 1.96 se, p = 2 (1 - Phi(mean / se))."""
  difference = np.random.default_rng(3).normal(0.25, 2.0, 400)
  found = paired.paired_difference(np.zeros(400), difference, resamples=20_000, seed=4)
  error = difference.std() / 20
  np.testing.assert_allclose(
      found.interval, [found.mean - 1.96 * error, found.mean + 1.96 * error], atol=0.02
  )
  draws = np.abs(np.random.default_rng(5).standard_normal(1_000_000))
  assert found.p_value == pytest.approx(np.mean(draws >= abs(found.mean) / error), rel=0.25)
  assert 0.001 < found.p_value < 0.1


def test_runs_that_are_alike_differ_significantly_as_often_as_they_should() -> None:
  """Questions of one video fall together: by video 5 % are below 0.05, by question far more."""
  rng = np.random.default_rng(6)
  clusters = np.repeat(np.arange(30), 10)
  by_video, by_question = [], []
  for seed in range(200):
    a, b = np.repeat(rng.integers(0, 2, (2, 30)), 10, axis=1)
    by_video.append(paired.paired_difference(a, b, clusters, 199, seed).p_value)
    by_question.append(paired.paired_difference(a, b, None, 199, seed).p_value)
  assert np.mean(np.array(by_video) <= 0.05) <= 0.09
  assert np.mean(np.array(by_question) <= 0.05) >= 0.3


def test_equal_runs() -> None:
  found = paired.paired_difference(np.arange(5), np.arange(5), resamples=10)
  assert found.to_json() == {"difference": 0.0, "interval": [0.0, 0.0], "p_value": 1.0}


def test_p_value_is_never_zero() -> None:
  found = paired.paired_difference(np.zeros(500), np.ones(500), resamples=99)
  assert found.p_value == 1 / 100
  assert found.interval == (1.0, 1.0)


def test_seed_decides_and_block_size_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
  a, b = np.random.default_rng(7).random((2, 60))
  first = paired.paired_difference(a, b, resamples=200, seed=0)
  assert first == paired.paired_difference(a, b, resamples=200, seed=0)
  assert first != paired.paired_difference(a, b, resamples=200, seed=1)
  monkeypatch.setattr(paired, "_BLOCK", 500)
  assert paired.paired_difference(a, b, resamples=200, seed=0).p_value == first.p_value


def test_truth_values_and_named_videos() -> None:
  a, b = np.array([True, False, False]), np.array([True, True, True])
  found = paired.paired_difference(a, b, np.array(["x", "y", "y"]), resamples=4)
  assert found.mean == pytest.approx(2 / 3)
  assert found.p_value == 1.0  # One video differs: its swap is as extreme.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a": np.zeros(0), "b": np.zeros(0), "clusters": np.zeros(0)}, "no example"),
        ({"b": np.zeros(2)}, "3 values of a, 2 of b, 3 clusters"),
        ({"clusters": np.zeros(1)}, "3 of b, 1 clusters"),
        ({"a": np.array([0, np.nan, 1])}, "a of example 1 is not finite"),
        ({"b": np.array([0, 1, -np.inf])}, "b of example 2 is not finite"),
        ({"a": np.zeros((3, 1))}, r"a has shape \(3, 1\)"),
        ({"b": np.array(["x", "y", "z"])}, "b of type <U1: give numbers"),
        ({"resamples": 0}, "resamples=0"),
    ],
)
def test_bad_input(change: dict, said: str) -> None:
  inputs = {"a": np.zeros(3), "b": np.ones(3), "clusters": np.arange(3), "resamples": 5} | change
  with pytest.raises(UserError, match=said):
    paired.paired_difference(**inputs)
