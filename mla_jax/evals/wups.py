"""Open-ended answers by the similarity of their words: WUPS (Malinowski & Fritz 2014)."""

from collections.abc import Callable, Collection, Sequence
import functools
import math
from typing import Any, TypeAlias

from jaxtyping import Float, Shaped
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap, inputs, question_types
from mla_jax.evals.question_types import QuestionTypes

Similarity: TypeAlias = Callable[[str, str], float]
Words: TypeAlias = Sequence[str]

_BELOW = 0.1  # What a similarity below the threshold is multiplied by.


def points(
    predicted: Sequence[Words],
    references: Sequence[Sequence[Words]],
    similarity: Similarity,
    *,
    threshold: float = 0.0,
) -> Float[np.ndarray, " n"]:
  """WUPS of each question, in [0, 1], with the best of its right answers.

  Each word of one answer takes its most similar word of the other; the words that find one are
  multiplied, both ways, and the smaller product counts: as doc-doc/NExT-OE:metrics.py.

  Args:
    predicted: n lists of words.
    references: n lists of one or more right answers, each a list of words.
    similarity: of two different words, in [0, 1]; 0 = unknown or unlike. Equal words are at 1.
    threshold: a similarity below it is multiplied by 0.1: 0.9 gives WUPS@0.9, 0 WUPS@0.

  Raises:
    UserError: lists of different length, a text where a list of words is wanted, a question
      without a right answer, a similarity outside [0, 1].
  """
  inputs.check_lengths(len(predicted), "question", references=references)
  _check_words(predicted, references)

  @functools.cache
  def alike(a: str, b: str) -> float:
    if a == b:
      return 1.0
    value = float(similarity(a, b))
    if not 0.0 <= value <= 1.0:
      raise UserError(f"evaluation: the similarity of {a!r} and {b!r} is {value}: give 0 to 1")
    return value if value >= threshold else _BELOW * value

  def score(place: int) -> float:
    if not references[place]:
      raise UserError(f"evaluation: question {place} has no right answer: leave it out")
    said = predicted[place]
    both = (
        min(_one_way(said, right, alike), _one_way(right, said, alike))
        for right in references[place]
    )
    return max(both)

  return np.array([score(place) for place in range(len(predicted))])


def wups(
    predicted: Sequence[Words],
    references: Sequence[Sequence[Words]],
    types: Sequence[str] | Sequence[int],
    similarity: Similarity,
    *,
    exact: Collection[str | int] = (),
    dataset_types: QuestionTypes | None = None,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
  """WUPS@0 and WUPS@0.9 over all questions, and by type.

  NExT-OE's protocol (doc-doc/NExT-OE:eval_oe.py) has as words lemmas without the stop words of its
  list, the similarity of the first WordNet senses, `exact=("DC", "DB")` and
  `dataset_types=question_types.NEXTQA`. Neither WordNet nor a lemmatiser is part of this library.

  Args:
    predicted, references, similarity: as of `points`.
    types: n question types; with `dataset_types` as annotated or by name.
    exact: types whose answers are right only where all words are equal.
    dataset_types: names and groups of the dataset's types.
    clusters: `[n]`, the video of each question; intervals draw whole videos. None: each by itself.
    resamples, seed: of the bootstrap.

  Returns:
    A JSON-able dict, in percent: "wups_0", "wups_0.9", "interval" {name: [low, high]} (95 %),
    "questions", "by_type" and, with groups, "by_group".

  Raises:
    UserError: as `points`, no question, or an unknown type.
  """
  inputs.check_lengths(len(predicted), "question", types=types, references=references)
  _check_words(predicted, references)
  clusters = inputs.clusters_of(clusters, len(predicted))
  same = np.array([
      any(list(said) == list(one) for one in right)
      for said, right in zip(predicted, references, strict=True)
  ])
  is_exact = np.array([kind in exact for kind in types])
  similarity = functools.cache(similarity)  # Both thresholds ask for the same pairs.
  percents = {
      f"wups_{threshold:g}": 100.0 * np.where(
          is_exact, same, points(predicted, references, similarity, threshold=threshold)
      )
      for threshold in (0.0, 0.9)
  }
  means, interval = bootstrap.named_means(percents, clusters, resamples=resamples, seed=seed)
  return {
      **means,
      **question_types.tables(percents, types, dataset_types),
      "questions": len(predicted),
      "interval": interval,
  }


def _check_words(
    predicted: Sequence[Words], references: Sequence[Sequence[Words]]
) -> None:
  inputs.check_lists("predicted words", predicted, "words")
  inputs.check_lists("right answers", references, "lists of words")
  for right in references:
    inputs.check_lists("words of a right answer", right, "words")


def _one_way(words: Words, others: Words, alike: Similarity) -> float:
  best = [max((alike(word, other) for other in others), default=0.0) for word in words]
  found = [value for value in best if value > 0.0]
  return math.prod(found) if found else 0.0
