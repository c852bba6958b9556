"""Accuracy of open-ended question answering over the full split."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Bool, Float, Shaped
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap, inputs, question_types
from mla_jax.evals.question_types import QuestionTypes


def accuracy(
    predicted: Sequence[str | None] | Sequence[int] | Shaped[np.ndarray, " n"],
    answers: Sequence[str],
    types: Sequence[str] | Sequence[int],
    vocabulary: Sequence[str],
    *,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    dataset_types: QuestionTypes | None = None,
    references: Sequence[Sequence[str]] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
  """Top-1 accuracy overall and by question type, beside the highest the vocabulary allows.

  The denominator is every question: one whose answer is outside the vocabulary counts as wrong,
  as in Just Ask (Yang et al. 2021). Leaving such questions out, or building the vocabulary from
  more than the training answers, gives numbers that cannot be compared. Groups are summed by type
  id: ActivityNet-QA's own evaluation/eval.py takes the types of "Free" by the order in which they
  first occur in the file, and divides by 4,021 instead of 5,600 on test.

  Args:
    predicted: n answers, None = none; or n indices into `vocabulary`, -1 = none. None is wrong.
    answers: n true answers.
    types: n question types, e.g. the first word; with `dataset_types` as annotated or by name.
    vocabulary: the answers a model can give, from the training split only.
    clusters: `[n]`, the video of each question; the interval draws whole videos. None: each
      question by itself.
    dataset_types: names and groups of the dataset's types, e.g. `question_types.ACTIVITYNET_QA`.
    references: n lists of further right answers, as NExT-OE's test has; None: there are none.
    resamples, seed: of the bootstrap.

  Returns:
    A JSON-able dict: "accuracy", "ceiling", "interval" ([low, high] of the accuracy, 95 %) in
    percent, "questions", and "by_type" {type: {"accuracy", "ceiling", "questions"}}, the most
    frequent type first; with groups of types also "by_group" of the same form; with references
    also "accuracy_any_reference" and "ceiling_any_reference", where each of a question's answers
    is right.

  Raises:
    UserError: no question, lists of different length, an unknown type, or a predicted index
      outside the vocabulary.
  """
  inputs.check_lengths(len(answers), "question", predictions=predicted, types=types)
  clusters = inputs.clusters_of(clusters, len(answers))
  values = columns(predicted, answers, vocabulary, references=references)
  interval = bootstrap.mean_interval(
      values["accuracy"][:, None], clusters, resamples=resamples, seed=seed
  )
  by_type = {name: values[name] for name in ("accuracy", "ceiling")}
  return {
      **{name: float(np.mean(column)) for name, column in values.items()},
      **question_types.tables(by_type, types, dataset_types),
      "questions": len(answers),
      "interval": interval[0].tolist(),
  }


def columns(
    predicted: Sequence[str | None] | Sequence[int] | Shaped[np.ndarray, " n"],
    answers: Sequence[str],
    vocabulary: Sequence[str],
    *,
    references: Sequence[Sequence[str]] | None = None,
) -> dict[str, Float[np.ndarray, " n"]]:
  """What each question adds to the means of `accuracy`, by their names; arguments as there."""
  inputs.check_lengths(len(answers), "question", predictions=predicted)
  inputs.array("answers", answers, "names", questions=None)
  known = set(vocabulary)
  answerable = np.array([answer in known for answer in answers])
  chosen = _as_answers(predicted, vocabulary)
  right = answerable & _equal(chosen, answers)
  found = {"accuracy": 100.0 * right, "ceiling": 100.0 * answerable}
  if references is None:
    return found
  inputs.check_lengths(len(answers), "question", references=references)
  inputs.check_lists("references", references, "answers")
  any_right, any_answerable = _any_reference(chosen, references, known)
  return found | {
      "accuracy_any_reference": 100.0 * (right | any_right),
      "ceiling_any_reference": 100.0 * (answerable | any_answerable),
  }


def _any_reference(
    predicted: Sequence[str | None], references: Sequence[Sequence[str]], known: set[str]
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
  """Whether a question's answer is one of its references, and whether one of them is known."""
  answerable = [known.intersection(right) for right in references]
  hit = [answer in right for answer, right in zip(predicted, answerable, strict=True)]
  return np.array(hit), np.array([bool(right) for right in answerable])


def _as_answers(
    predicted: Sequence[str | None] | Sequence[int] | Shaped[np.ndarray, " n"],
    vocabulary: Sequence[str],
) -> list[str | None]:
  if all(answer is None or isinstance(answer, str) for answer in predicted):
    return [None if answer is None else str(answer) for answer in predicted]
  indices = inputs.array("predictions that are not answers", predicted, "integers", questions=None)
  outside = np.flatnonzero((indices < -1) | (indices >= len(vocabulary)))
  if len(outside):
    raise UserError(
        f"evaluation: prediction {indices[outside[0]]} of question {outside[0]} is outside the "
        f"vocabulary of {len(vocabulary)} answers: evaluate with the vocabulary of the checkpoint"
    )
  return [None if i == -1 else vocabulary[i] for i in indices]


def _equal(predicted: Sequence[str | None], answers: Sequence[str]) -> Bool[np.ndarray, " n"]:
  return np.array([p == a for p, a in zip(predicted, answers, strict=True)])
