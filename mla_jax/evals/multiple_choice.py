"""Accuracy of multiple-choice question answering over the full split, beside chance."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Bool, Float, Int, Shaped
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap, inputs, question_types
from mla_jax.evals.question_types import QuestionTypes


def points(
    scores: Float[np.ndarray, "n K"],
    answers: Int[np.ndarray, " n"],
    mask: Bool[np.ndarray, "n K"] | None = None,
    also: Bool[np.ndarray, "n K"] | None = None,
) -> Float[np.ndarray, " n"]:
  """The probability that a question is answered right when ties break at random.

  1 where the true candidate alone scores highest, 1/m where it shares that with m - 1 others.
  An argmax would give every tie to the first candidate: How2QA's release has the answer there.

  Args:
    scores: `[n, K]`, higher is better, finite where `mask` is True.
    answers: `[n]`, index of the true candidate.
    mask: `[n, K]`, True = a real candidate; None: all are.
    also: `[n, K]`, True = is right too; None: the answers alone are.

  Returns:
    `[n]` in [0, 1].

  Raises:
    UserError: no question, shapes that do not fit, NaN, or an answer that is no candidate.
  """
  scores, answers, mask = _check(scores, answers, mask)
  best = np.where(mask, scores, -np.inf).max(axis=1, keepdims=True)
  first = mask & (scores == best)
  return (first & _right(scores, answers, mask, also)).sum(axis=1) / first.sum(axis=1)


def also_right(
    candidates: Sequence[Sequence[str]], references: Sequence[Sequence[str]], most: int
) -> Bool[np.ndarray, "n K"]:
  """Which of at most K candidates are among the right texts, where these alone are known."""
  found = np.zeros((len(candidates), most), bool)
  for row, (texts, right) in enumerate(zip(candidates, references, strict=True)):
    found[row, : len(texts)] = [text in right for text in texts]
  return found


def accuracy(
    scores: Float[np.ndarray, "n K"],
    answers: Int[np.ndarray, " n"],
    types: Sequence[str] | Sequence[int],
    *,
    mask: Bool[np.ndarray, "n K"] | None = None,
    also: Bool[np.ndarray, "n K"] | None = None,
    answered: Bool[np.ndarray, " n"] | None = None,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    dataset_types: QuestionTypes | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
  """Accuracy overall and by type; the denominator is every question.

  For NExT-QA with `dataset_types=question_types.NEXTQA`, "by_type" and "by_group" are the numbers
  of doc-doc/NExT-QA:eval_mc.py (there "Acc_C", "Acc_T", "Acc_D").

  Args:
    scores, answers, mask, also: as in `points`.
    types: n question types; with `dataset_types` as annotated or by name.
    answered: `[n]`, False = no candidate was chosen, always wrong; None: one was everywhere.
    clusters: `[n]`, the video of each question; the interval draws whole videos. None: each
      question by itself.
    dataset_types: names and groups of the dataset's types.
    resamples, seed: of the bootstrap.

  Returns:
    A JSON-able dict: "accuracy" and "chance" (what equal scores get) in percent, "interval" ([low,
    high] of the accuracy, 95 %), "questions", "by_type" {type: {"accuracy", "chance",
    "questions"}}, the most frequent first, and "by_group" of the same form where there are groups.

  Raises:
    UserError: as `points`, or lists of different length, or an unknown type.
  """
  right = points(scores, answers, mask, also)
  if answered is not None:
    right = right * inputs.array("answered", answered, "truth values", questions=len(right))
  clusters = inputs.clusters_of(clusters, len(right))
  inputs.check_lengths(len(right), "question", types=types)
  percents = {
      "accuracy": 100.0 * right,
      "chance": 100.0 * points(np.zeros_like(scores, np.float64), answers, mask, also),
  }
  interval = bootstrap.mean_interval(
      percents["accuracy"][:, None], clusters, resamples=resamples, seed=seed
  )
  return {
      **{name: float(np.mean(values)) for name, values in percents.items()},
      **question_types.tables(percents, types, dataset_types),
      "questions": len(right),
      "interval": interval[0].tolist(),
  }


def _right(
    scores: Float[np.ndarray, "n K"],
    answers: Int[np.ndarray, " n"],
    mask: Bool[np.ndarray, "n K"],
    also: Bool[np.ndarray, "n K"] | None,
) -> Bool[np.ndarray, "n K"]:
  """Which candidates are right."""
  right = np.arange(scores.shape[1]) == answers[:, None]
  if also is not None:
    axes = dict(zip(("questions", "candidates"), scores.shape, strict=True))
    right = right | inputs.array("also", also, "truth values", **axes)
  return right & mask


def _check(
    scores: Float[np.ndarray, "n K"],
    answers: Int[np.ndarray, " n"],
    mask: Bool[np.ndarray, "n K"] | None,
) -> tuple[Float[np.ndarray, "n K"], Int[np.ndarray, " n"], Bool[np.ndarray, "n K"]]:
  inputs.check_lengths(len(answers), "question", scores=scores)
  answers = inputs.array("answers", answers, "integers", questions=None)
  scores = inputs.array("scores", scores, "numbers", questions=len(answers), candidates=None)
  mask = inputs.mask_of(mask, questions=len(answers), candidates=scores.shape[1])
  inside = (answers >= 0) & (answers < scores.shape[1])
  inside[inside] = mask[inside, answers[inside]]
  if not inside.all():
    row = int(np.flatnonzero(~inside)[0])
    raise UserError(
        f"evaluation: the answer of question {row} is candidate {answers[row]}, which is not there:"
        " evaluate a split whose answers are public"
    )
  return inputs.finite("scores", np.where(mask, scores, 0.0)), answers, mask
