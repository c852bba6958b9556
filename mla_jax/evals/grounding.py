"""Whether a question's evidence was found: NExT-GQA's overlap with the best of several windows."""

from collections.abc import Sequence, Sized
from typing import Any

from jaxtyping import Bool, Float, Shaped
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap, inputs
from mla_jax.evals.localisation import temporal_iou

THRESHOLDS = (0.3, 0.5)


def grounding(
    windows: Float[np.ndarray, "n 2"],
    truth: Sequence[Sequence[Sequence[float]]],
    *,
    correct: Bool[np.ndarray, " n"] | None = None,
    given: Bool[np.ndarray, " n"] | None = None,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
  """Overlap of the one window given for each question with the true window it meets best.

  IoP is the share of the given window that lies in the true one, IoU is as ever; each takes the
  true window where it is highest, as doc-doc/NExT-GQA:eval_ground.py. A window without length has
  an IoP of 1 inside a true window, and an IoU of 0.

  Args:
    windows: `[n, 2]` s.
    truth: n lists of one or more windows in seconds.
    correct: `[n]`, whether the question was answered right.
    given: `[n]`, whether there is a window; where there is none (the video is missing), nothing
      overlaps, whatever `windows` and `truth` have there. None: everywhere.
    clusters: `[n]`, the video of each question; intervals draw whole videos. None: each by itself.
    resamples, seed: of the bootstrap.

  Returns:
    A JSON-able dict, in percent: "mean_iop", "iop_0.3", "iop_0.5", "mean_iou", "iou_0.3",
    "iou_0.5", "questions", and "interval" {name: [low, high]} (95 %); with `correct` also
    "accuracy", "acc_gqa", right with an IoP of 0.5 or more, and "asa", right with an IoU of 0.5 or
    more (TVQA+'s answer-span joint accuracy, Lei et al. 2020).

  Raises:
    UserError: no question, lists that do not fit, NaN, or a question without a true window.
  """
  values = columns(windows, truth, correct=correct, given=given)
  clusters = inputs.clusters_of(clusters, len(truth))
  means, interval = bootstrap.named_means(values, clusters, resamples=resamples, seed=seed)
  return {**means, "questions": len(truth), "interval": interval}


def columns(
    windows: Float[np.ndarray, "n 2"],
    truth: Sequence[Sequence[Sequence[float]]],
    *,
    correct: Bool[np.ndarray, " n"] | None = None,
    given: Bool[np.ndarray, " n"] | None = None,
) -> dict[str, Float[np.ndarray, " n"]]:
  """What each question adds to the means of `grounding`, by their names; arguments as there."""
  inputs.check_lengths(len(windows), "question", truth=truth)
  windows = inputs.finite("windows", windows, questions=None, ends=2)
  located = inputs.mask_of(given, questions=len(windows))
  best = np.array([
      _best(i, windows[i], true) if located[i] else (0.0, 0.0) for i, true in enumerate(truth)
  ])
  found = {
      name: 100.0 * column
      for kind, values in zip(("iou", "iop"), best.T, strict=True)
      for name, column in {
          f"mean_{kind}": values, **{f"{kind}_{m:g}": values >= m for m in THRESHOLDS}
      }.items()
  }
  if correct is not None:
    right = inputs.array("correct", correct, "truth values", questions=len(windows))
    found |= {
        "accuracy": 100.0 * right,
        "acc_gqa": 100.0 * (right & (best[:, 1] >= 0.5)),
        "asa": 100.0 * (right & (best[:, 0] >= 0.5)),
    }
  return found


def _best(
    place: int, window: Float[np.ndarray, "2"], true: Sequence[Sequence[float]]
) -> tuple[float, float]:
  """The highest IoU and the highest IoP of a window with any of the true ones."""
  if isinstance(true, Sized) and not len(true):
    raise UserError(f"evaluation: question {place} has no true window: leave it out")
  windows = inputs.finite(f"question {place}: true windows", true, windows=None, ends=2)
  start, end = window
  inside = np.minimum(windows[:, 1], end) - np.maximum(windows[:, 0], start)
  if end == start:
    return 0.0, float(np.any(inside == 0))
  share = np.where(inside > 0, inside, 0.0) / abs(end - start)
  return float(temporal_iou(window, windows).max()), float(share.max())
