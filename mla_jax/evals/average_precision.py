"""Interpolated average precision of ranked windows and of scored clips."""

from collections.abc import Sequence

from jaxtyping import Bool, Float
import numpy as np

from mla_jax.evals import inputs, localisation


def of_windows(
    windows: Float[np.ndarray, "P 2"],
    scores: Float[np.ndarray, " P"],
    truth: Float[np.ndarray, "G 2"],
    thresholds: Sequence[float],
) -> Float[np.ndarray, " t"]:
  """Detection average precision of one query at each IoU threshold, in [0, 1].

  From the highest score on (the order given decides between equal ones), each window takes the
  true window of the highest IoU that is not taken yet, if that IoU reaches the threshold. The
  precision is interpolated over all recalls (Pascal VOC 2011), as in ActivityNet's and
  moment_detr:standalone_eval/utils.py's compute_average_precision_detection.

  Args:
    windows: `[P, 2]` s; none gives 0.
    scores: `[P]`, higher is better.
    truth: `[G, 2]` s, G >= 1.
    thresholds: IoUs.

  Raises:
    UserError: as many scores as windows are not there, no true window, other shapes, NaN.
  """
  scores = inputs.finite("scores", scores, windows=None)
  windows = inputs.finite("windows", windows, windows=len(scores), ends=2)
  inputs.check_lengths(len(truth), "true window")
  truth = inputs.finite("true windows", truth, windows=None, ends=2)
  order = np.argsort(-scores, kind="stable")
  iou = localisation.temporal_iou(windows[order][:, None], truth)
  found = np.stack([_matched(iou, threshold) for threshold in thresholds])
  hits = np.cumsum(found, axis=1)
  precision = hits / np.arange(1, len(windows) + 1)
  # The best precision at this recall or a higher one; each hit adds 1 / G of recall.
  best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
  return (best * found).sum(axis=1) / len(truth)


def of_clips(scores: Float[np.ndarray, " C"], relevant: Bool[np.ndarray, " C"]) -> float:
  """Average precision of one query's clips, in [0, 1]; equal scores are one step, so constant
  scores give the share of relevant clips.

  The mean over the steps at which recall grows of the best precision at that recall or a higher
  one; 0 if no clip is relevant, as moment_detr:standalone_eval/utils.py's get_ap on scikit-learn's
  precision_recall_curve.

  Args:
    scores: `[C]`, higher is better.
    relevant: `[C]`.

  Raises:
    UserError: no clip, lists that do not fit, NaN.
  """
  inputs.check_lengths(len(scores), "clip")
  scores = inputs.finite("scores", scores, clips=None)
  relevant = inputs.array("relevant", relevant, "truth values", clips=len(scores))
  if relevant.all() or not relevant.any():
    return float(relevant.all())
  order = np.argsort(-scores, kind="stable")
  last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # Of each equal score.
  hits = np.cumsum(relevant[order])[last]
  precision = hits / (last + 1)
  best = np.maximum.accumulate(precision[::-1])[::-1]
  return float(best[np.diff(hits, prepend=0) > 0].mean())


def _matched(iou: Float[np.ndarray, "P G"], threshold: float) -> Bool[np.ndarray, " P"]:
  """Which windows, best first, take a true window."""
  free = np.ones(iou.shape[1], bool)
  found = np.zeros(len(iou), bool)
  for row, overlaps in enumerate(iou):
    # From the back: of equal IoUs the official code takes the last.
    best = iou.shape[1] - 1 - int(np.argmax(np.where(free, overlaps, -1.0)[::-1]))
    if free[best] and overlaps[best] >= threshold:
      free[best], found[row] = False, True
  return found
