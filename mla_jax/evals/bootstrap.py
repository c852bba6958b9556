"""Percentile bootstrap over clusters, for the queries of one video are not independent."""

from collections.abc import Iterator, Mapping
from typing import Any

from jaxtyping import Float, Int, Num, Shaped
import numpy as np

from mla_jax.errors import UserError

# Floats per block of resamples: bounds memory whatever the number of clusters or queries.
_BLOCK = 4_000_000


def mean_interval(
    values: Num[np.ndarray, "n k"],
    clusters: Shaped[np.ndarray, " n"],
    *,
    resamples: int,
    seed: int,
    confidence: float = 0.95,
) -> Float[np.ndarray, "k 2"]:
  """Percentile interval of each column's mean, whole clusters drawn with replacement.

  Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; clusters as in Davison
  and Hinkley (1997), section 3.8.

  Args:
    values: `[n, k]`, one row per query, n >= 1.
    clusters: `[n]`, equal = drawn together (the video of the query).
    resamples: how many data sets are drawn, >= 1.
    seed: same seed, same interval.
    confidence: share of the resampled means inside the interval.

  Returns:
    `[k, 2]`: low and high ends, in the unit of `values`.

  Raises:
    UserError: no resample.
  """
  names, cluster = np.unique(clusters, return_inverse=True)
  size = np.bincount(cluster).astype(np.float64)
  total = np.stack([np.bincount(cluster, weights=column) for column in values.T], axis=1)
  means = [
      (drawn @ total) / (drawn @ size)[:, None]
      for drawn in _draws(len(names), resamples, seed, row_floats=len(names))
  ]
  return _percentiles(np.concatenate(means), confidence)


def named_means(
    columns: Mapping[str, Num[np.ndarray, " n"]],
    clusters: Shaped[np.ndarray, " n"],
    *,
    resamples: int,
    seed: int,
    confidence: float = 0.95,
) -> tuple[dict[str, float], dict[str, list[float]]]:
  """Mean and `mean_interval` of each column, by its name; at least one column."""
  values = np.stack(list(columns.values()), axis=1)
  options: dict[str, Any] = {"resamples": resamples, "seed": seed, "confidence": confidence}
  intervals = mean_interval(values, clusters, **options)
  return (
      dict(zip(columns, values.mean(axis=0).tolist(), strict=True)),
      dict(zip(columns, intervals.tolist(), strict=True)),
  )


def median_interval(
    values: Num[np.ndarray, " n"],
    clusters: Shaped[np.ndarray, " n"],
    *,
    resamples: int,
    seed: int,
    confidence: float = 0.95,
) -> Float[np.ndarray, " 2"]:
  """Percentile interval of the median; arguments as in `mean_interval`, `values` `[n]`."""
  names, cluster = np.unique(clusters, return_inverse=True)
  order = np.argsort(values, kind="stable")
  ascending, cluster = np.asarray(values, np.float64)[order], cluster[order]
  medians = []
  for drawn in _draws(len(names), resamples, seed, row_floats=len(values)):
    # How many drawn values lie at or below each place of the sorted ones.
    below = np.cumsum(drawn[:, cluster], axis=1)
    middle = [(below[:, -1] - 1) // 2, below[:, -1] // 2]
    places = [np.count_nonzero(below <= m[:, None], axis=1) for m in middle]
    medians.append(0.5 * (ascending[places[0]] + ascending[places[1]]))
  return _percentiles(np.concatenate(medians)[:, None], confidence)[0]


def _draws(
    clusters: int, resamples: int, seed: int, row_floats: int
) -> Iterator[Float[np.ndarray, "r clusters"]]:
  """Yields blocks of resamples: how often each cluster is drawn."""
  if resamples < 1:
    raise UserError(f"eval.bootstrap={resamples}: an interval needs 1 resample or more, e.g. 1000")
  rng = np.random.default_rng(seed)
  most = max(1, _BLOCK // row_floats)
  for start in range(0, resamples, most):
    rows = min(most, resamples - start)
    picked = rng.integers(0, clusters, (rows, clusters))
    picked += np.arange(rows)[:, None] * clusters
    counts: Int[np.ndarray, " r*clusters"] = np.bincount(
        picked.ravel(), minlength=rows * clusters
    )
    yield counts.reshape(rows, clusters).astype(np.float64)


def _percentiles(
    estimates: Float[np.ndarray, "r k"], confidence: float
) -> Float[np.ndarray, "k 2"]:
  tail = (1 - confidence) / 2
  return np.quantile(estimates, [tail, 1 - tail], axis=0).T
