"""Intervals against loops over the same draws, against theory, and across block sizes."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap


def resampled(values: np.ndarray, clusters: np.ndarray, resamples: int, seed: int) -> list:
  """The drawn data sets one by one, whole clusters at a time."""
  names = sorted(set(clusters.tolist()))
  picks = np.random.default_rng(seed).integers(0, len(names), (resamples, len(names)))
  return [np.concatenate([values[clusters == names[i]] for i in row]) for row in picks]


def ends(estimates: list[float]) -> tuple[float, float]:
  return float(np.percentile(estimates, 2.5)), float(np.percentile(estimates, 97.5))


@settings(max_examples=25)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 1000))
def test_equals_loops(count: int, videos: int, seed: int) -> None:
  rng = np.random.default_rng(seed)
  values = rng.integers(0, 5, count).astype(float)
  clusters = rng.integers(10, 10 + videos, count)
  options = {"resamples": 40, "seed": seed}
  samples = resampled(values, clusters, **options)
  mean = bootstrap.mean_interval(np.stack([values, -values], axis=1), clusters, **options)
  low, high = ends([np.mean(s) for s in samples])
  np.testing.assert_allclose(mean, [[low, high], [-high, -low]], atol=1e-12)
  median = bootstrap.median_interval(values, clusters, **options)
  np.testing.assert_allclose(median, ends([np.median(s) for s in samples]))


def test_interval_of_independent_values_is_the_normal_one() -> None:
  values = np.random.default_rng(0).normal(5.0, 2.0, 400)
  low, high = bootstrap.mean_interval(
      values[:, None], np.arange(400), resamples=4000, seed=1
  )[0]
  half = 1.96 * values.std() / 20
  np.testing.assert_allclose([low, high], [values.mean() - half, values.mean() + half], atol=0.02)


def test_queries_of_one_video_do_not_make_it_surer() -> None:
  """Twenty copies of each video's result: by query the interval shrinks, by video it does not."""
  rng = np.random.default_rng(2)
  values = np.repeat(rng.random(50), 20)
  options = {"resamples": 1000, "seed": 3}
  by_video = bootstrap.mean_interval(values[:, None], np.arange(1000) // 20, **options)[0]
  by_query = bootstrap.mean_interval(values[:, None], np.arange(1000), **options)[0]
  assert np.ptp(by_video) == pytest.approx(np.sqrt(20) * np.ptp(by_query), rel=0.15)


def test_one_video_has_no_spread() -> None:
  values, clusters = np.array([[1.0], [2.0], [6.0]]), np.zeros(3)
  options = {"resamples": 10, "seed": 0}
  assert bootstrap.mean_interval(values, clusters, **options).tolist() == [[3.0, 3.0]]
  assert bootstrap.median_interval(values[:, 0], clusters, **options).tolist() == [2.0, 2.0]


def test_seed_decides_and_block_size_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
  values, clusters = np.random.default_rng(4).random((90, 1)), np.arange(90) // 3

  def intervals(seed: int) -> list[list[float]]:
    mean = bootstrap.mean_interval(values, clusters, resamples=50, seed=seed)[0]
    median = bootstrap.median_interval(values[:, 0], clusters, resamples=50, seed=seed)
    return [mean.tolist(), median.tolist()]

  first = intervals(0)
  assert first == intervals(0)
  assert first != intervals(1)
  monkeypatch.setattr(bootstrap, "_BLOCK", 100)
  np.testing.assert_allclose(intervals(0), first, rtol=1e-12)


def test_clusters_may_be_names() -> None:
  values = np.array([[0.0], [1.0], [1.0]])
  by_name = bootstrap.mean_interval(
      values, np.array(["b", "a", "a"]), resamples=30, seed=0
  )
  by_number = bootstrap.mean_interval(values, np.array([1, 0, 0]), resamples=30, seed=0)
  np.testing.assert_array_equal(by_name, by_number)


def test_no_resample_is_named() -> None:
  with pytest.raises(UserError, match=r"eval\.bootstrap=0"):
    bootstrap.median_interval(np.ones(3), np.arange(3), resamples=0, seed=0)
