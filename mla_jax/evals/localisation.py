"""Moment localisation: temporal IoU, recall at IoU (Charades-STA, ActivityNet), non-maximum
suppression. A window is (start, end) in seconds."""

from collections.abc import Sequence
from typing import Any, Literal

from jaxtyping import Bool, Float, Int, Shaped
import numpy as np

from mla_jax.evals import bootstrap, inputs

THRESHOLDS = (0.3, 0.5, 0.7)
RECALLS = (1, 5)


def temporal_iou(
    a: Float[np.ndarray, "... 2"], b: Float[np.ndarray, "... 2"]
) -> Float[np.ndarray, "..."]:
  """Intersection over union of windows, in [0, 1]; leading axes broadcast.

  A window whose end is not after its start overlaps with nothing. Where windows overlap their
  union is the span from the first start to the last end, as in LocalizingMoments:utils/eval.py
  and moment_detr:standalone_eval/utils.py.
  """
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  shared = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
  union = np.maximum(a[..., 1], b[..., 1]) - np.minimum(a[..., 0], b[..., 0])
  return np.where(shared > 0, shared, 0.0) / np.where(shared > 0, union, 1.0)


def recall_at_iou(
    windows: Float[np.ndarray, "n P 2"],
    scores: Float[np.ndarray, "n P"],
    truth: Float[np.ndarray, "n 2"],
    *,
    mask: Bool[np.ndarray, "n P"] | None = None,
    recalls: Sequence[int] = RECALLS,
    thresholds: Sequence[float] = THRESHOLDS,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
  """R@n, IoU >= m and mean IoU of the first window (Gao et al., ICCV 2017), over every query.

  Equal scores are ranked at random, in expectation: constant scores give chance. A query whose
  true moment has no length (4 lines of Charades-STA's train file, 4 of ActivityNet Captions' end
  before they start) stays in the denominator, cannot be found, and is counted.

  Args:
    windows: `[n, P, 2]` s, the windows proposed for each query; any order.
    scores: `[n, P]`, higher is better.
    truth: `[n, 2]` s.
    mask: `[n, P]`, True = a real proposal; None: all are. A query may have none.
    recalls, thresholds: the n and the m.
    clusters: `[n]`, the video of each query; intervals draw whole videos. None: each by itself.
    resamples, seed: of the bootstrap.

  Returns:
    A JSON-able dict: "recall_at_<n>_iou_<m>" and "mean_iou" in percent, "queries",
    "moments_without_length", and "interval" {name: [low, high]} (95 %).

  Raises:
    UserError: no query, shapes that do not fit, NaN or infinity.
  """
  values = columns(windows, scores, truth, mask=mask, recalls=recalls, thresholds=thresholds)
  truth = np.asarray(truth)
  clusters = inputs.clusters_of(clusters, len(truth))
  means, interval = bootstrap.named_means(values, clusters, resamples=resamples, seed=seed)
  return {
      **means,
      "queries": len(truth),
      "moments_without_length": int(np.count_nonzero(truth[:, 1] <= truth[:, 0])),
      "interval": interval,
  }


def columns(
    windows: Float[np.ndarray, "n P 2"],
    scores: Float[np.ndarray, "n P"],
    truth: Float[np.ndarray, "n 2"],
    *,
    mask: Bool[np.ndarray, "n P"] | None = None,
    recalls: Sequence[int] = RECALLS,
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, Float[np.ndarray, " n"]]:
  """What each query adds to the means of `recall_at_iou`, by their names; arguments as there."""
  windows, scores, truth, mask = _check(windows, scores, truth, mask)
  iou = np.where(mask, temporal_iou(windows, truth[:, None]), 0.0)
  places = _Places(np.where(mask, scores, -np.inf), mask)
  return {
      f"recall_at_{n}_iou_{m:g}": 100.0 * places.any_within(n, iou >= m)
      for n in recalls
      for m in thresholds
  } | {"mean_iou": 100.0 * places.mean_of_first(iou)}


def non_maximum_suppression(
    windows: Float[np.ndarray, "P 2"],
    scores: Float[np.ndarray, " P"],
    threshold: float,
    most: int = 100,
) -> Int[np.ndarray, " kept"]:
  """Indices of the windows that are kept, best first.

  From the best window on, each drops the worse ones whose IoU with it is above `threshold`; of
  equal scores the earlier is the better. As moment_detr:utils/temporal_nms.py.

  Args:
    windows: `[P, 2]` s.
    scores: `[P]`, finite.
    threshold: in [0, 1].
    most: windows kept at most.
  """
  scores = inputs.finite("scores", scores, windows=None)
  windows = inputs.finite("windows", windows, windows=len(scores), ends=2)
  left = np.argsort(-scores, kind="stable")
  kept: list[int] = []
  while len(left) and len(kept) < most:
    best, left = left[0], left[1:]
    kept.append(int(best))
    left = left[temporal_iou(windows[best], windows[left]) <= threshold]
  return np.array(kept, np.int64)


class _Places:
  """The places of each query's windows when equal scores are ranked at random."""

  def __init__(self, scores: Float[np.ndarray, "n P"], mask: Bool[np.ndarray, "n P"]) -> None:
    self._mask = mask
    # How many windows score higher than each, and how many at least as much (itself included).
    self._above = _count(scores, "left")
    self._through = _count(scores, "right")

  def any_within(self, n: int, hit: Bool[np.ndarray, "n P"]) -> Float[np.ndarray, " n"]:
    """The probability that a hit is among the first `n`: hypergeometric in the last tie."""
    hit = hit & self._mask
    sure = (hit & (self._through <= n)).any(axis=1)
    # The one group of equal scores that begins within the first n and ends behind them.
    split = self._mask & (self._above < n) & (self._through > n)
    size, hits = split.sum(axis=1), (split & hit).sum(axis=1)
    seats = np.where(split, n - self._above, 0).max(axis=1, initial=0)
    missed = np.ones(len(hit))
    for seat in range(int(seats.max(initial=0))):
      left = np.clip(size - hits - seat, 0, None)
      missed *= np.where(seat < seats, left / np.maximum(size - seat, 1), 1.0)
    return np.where(sure, 1.0, 1.0 - missed)

  def mean_of_first(self, values: Float[np.ndarray, "n P"]) -> Float[np.ndarray, " n"]:
    """The expected value of the first window; 0 without a window."""
    first = self._mask & (self._above == 0)
    return np.where(first, values, 0.0).sum(axis=1) / np.maximum(first.sum(axis=1), 1)


def _count(
    scores: Float[np.ndarray, "n P"], side: Literal["left", "right"]
) -> Int[np.ndarray, "n P"]:
  """For each score, how many of its row are higher; with "right" also those as high."""
  rows = [np.searchsorted(np.sort(-row), -row, side=side) for row in scores]
  return np.array(rows, np.int64).reshape(scores.shape)


def _check(
    windows: Float[np.ndarray, "n P 2"],
    scores: Float[np.ndarray, "n P"],
    truth: Float[np.ndarray, "n 2"],
    mask: Bool[np.ndarray, "n P"] | None,
) -> tuple[
    Float[np.ndarray, "n P 2"],
    Float[np.ndarray, "n P"],
    Float[np.ndarray, "n 2"],
    Bool[np.ndarray, "n P"],
]:
  inputs.check_lengths(len(truth), "query", windows=windows, scores=scores)
  truth = inputs.finite("truth", truth, queries=None, ends=2)
  scores = inputs.array("scores", scores, "numbers", queries=len(truth), proposals=None)
  axes = dict(zip(("queries", "proposals"), scores.shape, strict=True))
  windows = inputs.array("windows", windows, "numbers", **axes, ends=2)
  mask = inputs.mask_of(mask, **axes)
  return (
      inputs.finite("windows", np.where(mask[..., None], windows, 0.0)),
      inputs.finite("scores", np.where(mask, scores, 0.0)),
      truth,
      mask,
  )
