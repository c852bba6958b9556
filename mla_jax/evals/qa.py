"""Accuracy of open-ended question answering over the full split."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Bool, Shaped
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap


def accuracy(
    predicted: Sequence[str] | Sequence[int] | Shaped[np.ndarray, " n"],
    answers: Sequence[str],
    types: Sequence[str],
    vocabulary: Sequence[str],
    *,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
  """Top-1 accuracy overall and by question type, beside the highest the vocabulary allows.

  The denominator is every question: one whose answer is outside the vocabulary counts as wrong,
  as in Just Ask (Yang et al. 2021). Leaving such questions out, or building the vocabulary from
  more than the training answers, gives numbers that cannot be compared.

  Args:
    predicted: n answers, or n indices into `vocabulary`; -1 = no answer, always wrong.
    answers: n true answers.
    types: n question types, e.g. the first word.
    vocabulary: the answers a model can give, from the training split only.
    clusters: `[n]`, the video of each question; the interval draws whole videos. None: each
      question by itself.
    resamples, seed: of the bootstrap.

  Returns:
    A JSON-able dict: "accuracy", "ceiling", "interval" ([low, high] of the accuracy, 95 %) in
    percent, "questions", and "by_type" {type: {"accuracy", "ceiling", "questions"}}, the most
    frequent type first.

  Raises:
    UserError: no question, lists of different length, or a predicted index outside the vocabulary.
  """
  if not len(answers):
    raise UserError(
        "evaluation: the split has no question: choose another one with --config.data.eval_split"
    )
  clusters = np.arange(len(answers)) if clusters is None else np.asarray(clusters)
  for name, values in (("predictions", predicted), ("types", types), ("clusters", clusters)):
    if len(values) != len(answers):
      raise UserError(
          f"evaluation: {len(values)} {name} for {len(answers)} answers: give one a question"
      )
  known = set(vocabulary)
  answerable = np.array([answer in known for answer in answers])
  right = answerable & _equal(_as_answers(predicted, vocabulary), answers)
  interval = bootstrap.mean_interval(
      100.0 * right[:, None], clusters, resamples=resamples, seed=seed
  )
  return {
      "accuracy": _percent(right),
      "by_type": _by_type(right, answerable, types),
      "ceiling": _percent(answerable),
      "questions": len(answers),
      "interval": interval[0].tolist(),
  }


def _by_type(
    right: Bool[np.ndarray, " n"], answerable: Bool[np.ndarray, " n"], types: Sequence[str]
) -> dict[str, dict[str, float | int]]:
  names, type_of, sizes = np.unique(
      np.asarray(types, dtype=object), return_inverse=True, return_counts=True
  )
  return {
      str(names[i]): {
          "accuracy": _percent(right[type_of == i]),
          "ceiling": _percent(answerable[type_of == i]),
          "questions": int(sizes[i]),
      }
      for i in np.argsort(-sizes, kind="stable")
  }


def _as_answers(
    predicted: Sequence[str] | Sequence[int] | Shaped[np.ndarray, " n"], vocabulary: Sequence[str]
) -> list[str | None]:
  if isinstance(predicted[0], str):
    return [str(answer) for answer in predicted]
  indices = np.asarray(predicted)
  if not np.issubdtype(indices.dtype, np.integer):
    raise UserError(
        f"evaluation: predictions of type {indices.dtype}: give answers or indices of answers"
    )
  outside = np.flatnonzero((indices < -1) | (indices >= len(vocabulary)))
  if len(outside):
    raise UserError(
        f"evaluation: prediction {indices[outside[0]]} of question {outside[0]} is outside the "
        f"vocabulary of {len(vocabulary)} answers: evaluate with the vocabulary of the checkpoint"
    )
  return [None if i == -1 else vocabulary[i] for i in indices]


def _equal(predicted: Sequence[str | None], answers: Sequence[str]) -> Bool[np.ndarray, " n"]:
  return np.array([p == a for p, a in zip(predicted, answers, strict=True)])


def _percent(flags: Bool[np.ndarray, " n"]) -> float:
  return 100.0 * float(np.mean(flags))
