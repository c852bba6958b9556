"""Inputs of a wrong shape or kind, for every metric: one line, no number and no error of numpy."""

from collections.abc import Callable
import functools
from typing import Any

import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import (
    average_precision,
    counting,
    didemo,
    grounding,
    inputs,
    localisation,
    multiple_choice,
    qa,
    rescoring,
    retrieval,
    wups,
)

ONES = np.ones(3)
FIRST = np.zeros(3, int)
TYPES = ["what"] * 3
PAIRS = np.tile([0.0, 1.0], (3, 1))
SQUARE = np.eye(3)
counts = functools.partial(counting.errors, resamples=2)
choose = functools.partial(multiple_choice.accuracy, resamples=2)
answer = functools.partial(qa.accuracy, vocabulary=["a", "b"], resamples=2)
moments = functools.partial(didemo.accuracy, resamples=2)
evidence = functools.partial(grounding.grounding, resamples=2)
recall = functools.partial(localisation.recall_at_iou, resamples=2)
words = functools.partial(wups.wups, similarity=lambda a, b: 0.0, resamples=2)
to_video = retrieval.text_to_video_from_scores
to_text = retrieval.video_to_text_from_scores
suppress = localisation.non_maximum_suppression
A = ["a"] * 3

BAD: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str]] = [
    (counts, (ONES[:, None], FIRST), {}, r"predictions .*\(3, 1\): give numbers \[3 questions\]"),
    (counts, (ONES, FIRST[:, None]), {}, r"labels .*\(3, 1\): give integers"),
    (counts, (ONES, FIRST), {"clusters": SQUARE}, r"clusters .*\(3, 3\): give names"),
    (counts, (ONES, FIRST), {"clusters": [[1], [1, 2], [3]]}, "clusters are lists of different"),
    (choose, (SQUARE, FIRST, TYPES), {"answered": SQUARE > 0}, r"answered .*\(3, 3\)"),
    (choose, (SQUARE, FIRST, TYPES), {"answered": ["yes"] * 3}, "answered .*truth values"),
    (choose, (SQUARE, FIRST, TYPES), {"clusters": SQUARE}, "clusters"),
    (choose, (SQUARE.astype(str), FIRST, TYPES), {}, "scores of type <U32"),
    (choose, ([[1, 2], [1], [2]], FIRST, TYPES), {}, "scores are lists of different lengths"),
    (answer, (np.zeros((3, 2), int), A, TYPES), {}, r"predictions .*\(3, 2\)"),
    (answer, ([["a"]] * 3, A, TYPES), {}, "predictions"),
    (answer, ([None, 1, 1], A, TYPES), {}, "predictions .*give integers"),
    (answer, (A, [["a"]] * 3, TYPES), {}, r"answers .*\(3, 1\)"),
    (answer, (A, A, TYPES), {"references": A}, "references of question 0 are 'a', not a list"),
    (answer, (A, A, [["what"]] * 3), {}, r"types .*\(3, 1\)"),
    (choose, (SQUARE, FIRST, "abc"), {}, "types of type <U3"),
    (rescoring.rescored, (SQUARE.astype(str), FIRST), {}, "scores of type <U32"),
    (rescoring.dual_softmax, ([[1.0], [1.0, 2.0]],), {}, "scores are lists of different lengths"),
    (moments, (np.zeros((3, 21)), [[0, 0]] * 3), {}, r"sentence 0 has the times \[0, 0\]"),
    (moments, (np.zeros((1, 21)), [5]), {}, "sentence 0 has the times 5"),
    (moments, (np.zeros((1, 21, 1)), [[[0, 0]]]), {}, r"scores .*\(1, 21, 1\)"),
    (moments, (np.full((1, 21), "x"), [[[0, 0]]]), {}, "scores of type <U1"),
    (evidence, (PAIRS[:1], [[[0, 1], [0]]]), {}, "question 0: true windows are lists of different"),
    (evidence, (PAIRS[:1], [[0, 1]]), {}, "question 0: true windows of type"),
    (evidence, (PAIRS[:1], [3.0]), {}, "question 0: true windows of type"),
    (evidence, (PAIRS, [[[0, 1]]] * 3), {"correct": SQUARE > 0}, r"correct .*\(3, 3\)"),
    (evidence, ([[0, 1], [0]], [[[0, 1]]] * 2), {}, "windows are lists of different lengths"),
    (recall, (PAIRS[:, None], ONES, PAIRS), {}, r"scores .*\(3,\)"),
    (recall, (PAIRS, SQUARE, PAIRS), {}, r"windows .*\[3 queries, 3 proposals, 2 ends\]"),
    (suppress, (np.zeros((2, 3)), np.zeros(2), 0.5), {}, r"windows .*\(2, 3\)"),
    (suppress, (PAIRS, SQUARE, 0.5), {}, r"scores .*\(3, 3\)"),
    (average_precision.of_windows, (PAIRS, ONES[:2], PAIRS, (0.5,)), {}, r"windows .*\[2 windows"),
    (average_precision.of_windows, (PAIRS, ONES, PAIRS[0], (0.5,)), {}, "true windows"),
    (average_precision.of_windows, (PAIRS, ONES, [], (0.5,)), {}, "no true window"),
    (average_precision.of_clips, (ONES[:2], FIRST == 0), {}, "3 relevant for 2 examples"),
    (average_precision.of_clips, (ONES, FIRST == 0 * SQUARE), {}, "relevant"),
    (to_video, (SQUARE, np.array([0.0, 1.9, 2.0])), {}, "owners .*give integers"),
    (to_text, (SQUARE, np.array([0.0, 1.9, 2.0])), {}, "owners .*give integers"),
    (to_video, (SQUARE, [[0], [1, 2], [2]]), {}, "owners are lists of different lengths"),
    (to_video, (SQUARE.astype(str), FIRST), {}, "scores of type <U32"),
    (to_text, (SQUARE, FIRST, np.ones((2, 4))), {}, r"distractors .*\(2, 4\): .*3 videos\]"),
    (retrieval.video_to_text, (SQUARE, SQUARE, FIRST, np.ones((2, 4))), {}, r"\(2, 4\)"),
    (retrieval.text_to_video, (SQUARE.astype(str), SQUARE, FIRST), {}, "texts of type <U32"),
    (words, (["a red car"], [["car a red"]], ["CW"]), {}, "predicted words of question 0 are 'a"),
    (words, ([["a"]], [["car a red"]], ["CW"]), {}, "right answer .*'car a red', not a list"),
    (words, ([["a"]], ["car"], ["CW"]), {}, "right answers of question 0 are 'car', not a list"),
    (wups.points, (["car"], [[["car"]]]), {"similarity": max}, "predicted words"),
]


@pytest.mark.parametrize(("metric", "given", "named", "said"), BAD)
def test_a_wrong_shape_or_kind_is_one_line(metric, given, named, said: str) -> None:
  with pytest.raises(UserError, match=said) as error:
    metric(*given, **named)
  assert "\n" not in str(error.value)


def test_no_answer_may_stand_anywhere() -> None:
  for predicted in ([None, "a", "b"], ["a", None, "b"], ["a", "b", None]):
    assert answer(predicted, A, TYPES)["accuracy"] == pytest.approx(100 / 3)
  assert answer(np.array(A), A, TYPES)["accuracy"] == 100.0


@pytest.mark.parametrize("values", [["a", "b", "c"], [3, 1, 2], np.array(["a", "b", "c"], object)])
def test_clusters_are_names_or_numbers(values: Any) -> None:
  found = inputs.clusters_of(values, 3)
  assert found.dtype != object
  assert found.tolist() == list(values)
