"""Counts (TGIF-QA): mean squared error and accuracy against raw and against clipped labels."""

from typing import Any

from jaxtyping import Float, Int, Num, Shaped
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap, inputs

LOW, HIGH = 1, 10


def as_counts(predicted: Num[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
  """Predictions rounded (halves to even) and clipped to 1 .. 10, as they are scored.

  YunseokJANG/tgif-qa:code/gifqa/models/count_base.py; HME and ALPRO do the same.

  Raises:
    UserError: NaN or infinity.
  """
  return np.clip(np.rint(inputs.finite("predictions", predicted)), LOW, HIGH).astype(np.int64)


def errors(
    predicted: Num[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    *,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
  """Mean squared error and accuracy of counts, with both ways to take the labels.

  The labels are 0 .. 10 (10 = ten or more), and a quarter of those of the test split are 0, which
  no clipped prediction can be. `tgif-qa` scores against the labels as they are ("raw"); HCRN
  (thaolmk54/hcrn-videoqa:preprocess/datautils/tgif_qa.py) and those who use its data clip the
  labels to >= 1 too: always 3 has an error of 6.92 with raw and of 5.63 with clipped labels.
  Published numbers are of either kind; compare like with like.

  Args:
    predicted: `[n]` counts, real numbers; scored as `as_counts` makes them.
    labels: `[n]`, 0 .. 10.
    clusters: `[n]`, the video of each question; intervals draw whole videos. None: each question
      by itself.
    resamples, seed: of the bootstrap.

  Returns:
    A JSON-able dict: "mse_raw_labels", "mse_clipped_labels" (>= 0, lower is better),
    "accuracy_raw_labels", "accuracy_clipped_labels" in percent, "questions", and "interval" {name:
    [low, high]} (95 %) for the four.

  Raises:
    UserError: no question, lists of different length, NaN, or a label outside 0 .. 10.
  """
  values = columns(predicted, labels)
  clusters = inputs.clusters_of(clusters, len(labels))
  means, interval = bootstrap.named_means(values, clusters, resamples=resamples, seed=seed)
  return {**means, "questions": len(labels), "interval": interval}


def columns(
    predicted: Num[np.ndarray, " n"], labels: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, " n"]]:
  """What each question adds to the means of `errors`, by their names; arguments as there."""
  inputs.check_lengths(len(labels), "question")
  labels = inputs.array("labels", labels, "integers", questions=None)
  inputs.array("predictions", predicted, "numbers", questions=len(labels))
  _check_labels(labels)
  counts, found = as_counts(predicted), {}
  for kind, label in (("raw", labels), ("clipped", np.clip(labels, LOW, HIGH))):
    found[f"mse_{kind}_labels"] = (counts - label).astype(np.float64) ** 2
    found[f"accuracy_{kind}_labels"] = 100.0 * (counts == label)
  return found


def _check_labels(labels: Int[np.ndarray, " n"]) -> None:
  wrong = np.flatnonzero((labels < 0) | (labels > HIGH))
  if len(wrong):
    raise UserError(
        f"evaluation: the label of question {wrong[0]} is {labels[wrong[0]]}: counts are 0 .. "
        f"{HIGH}"
    )
