"""Accuracy over the full split: nothing leaves the denominator, nothing outside counts as right."""

import json

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import qa, question_types

VOCABULARY = ["man", "dog", "two"]
ANSWERS = ["man", "dog", "zebra", "two", "man"]
TYPES = ["who", "what", "what", "how", "who"]


def test_by_hand() -> None:
  result = qa.accuracy(["man", "dog", "man", "man", "dog"], ANSWERS, TYPES, VOCABULARY)
  interval = result.pop("interval")
  assert result == {
      "accuracy": pytest.approx(40.0),
      "ceiling": pytest.approx(80.0),
      "questions": 5,
      "by_type": {
          "what": {"accuracy": 50.0, "ceiling": 50.0, "questions": 2},
          "who": {"accuracy": 50.0, "ceiling": 100.0, "questions": 2},
          "how": {"accuracy": 0.0, "ceiling": 100.0, "questions": 1},
      },
  }
  assert 0 <= interval[0] <= 40 <= interval[1] <= 100


def test_ids_and_answers_are_the_same() -> None:
  ids = np.array([0, 1, 0, 2, 1])
  by_id = qa.accuracy(ids, ANSWERS, TYPES, VOCABULARY)
  assert by_id == qa.accuracy([VOCABULARY[i] for i in ids], ANSWERS, TYPES, VOCABULARY)
  assert by_id == qa.accuracy(ids.tolist(), ANSWERS, TYPES, VOCABULARY)
  assert json.loads(json.dumps(by_id)) == by_id


def test_answers_outside_the_vocabulary_are_wrong_and_stay_in_the_denominator() -> None:
  """EMCL-QA leaves them out (x 1.07); a vocabulary with test answers would count them right."""
  result = qa.accuracy(["zebra", "man"], ["zebra", "man"], ["what", "who"], VOCABULARY)
  assert result["accuracy"] == 50.0
  assert result["ceiling"] == 50.0
  none = qa.accuracy(np.array([-1, -1]), ["zebra", "man"], ["what", "who"], VOCABULARY)
  assert none["accuracy"] == 0.0


def test_further_right_answers_are_a_number_of_their_own() -> None:
  """NExT-OE's second answers: right where they can be given, and never in "accuracy"."""
  references = [["dog"], ["zebra", "two"], ["man"], [], []]
  chosen = ["dog", "two", "man", "two", None]
  predicted = np.array([VOCABULARY.index(answer) if answer else -1 for answer in chosen])
  result = qa.accuracy(predicted, ANSWERS, TYPES, VOCABULARY, references=references)
  plain = qa.accuracy(predicted, ANSWERS, TYPES, VOCABULARY)
  assert result.pop("accuracy_any_reference") == pytest.approx(80.0)
  assert result.pop("ceiling_any_reference") == pytest.approx(100.0)
  assert result == plain
  assert result["accuracy"] == pytest.approx(20.0)
  # An answer that a vocabulary of training answers cannot give is not right by being a reference.
  unknown = qa.accuracy(["zebra"], ["man"], ["who"], VOCABULARY, references=[["zebra"]])
  assert (unknown["accuracy_any_reference"], unknown["ceiling_any_reference"]) == (0.0, 100.0)
  with pytest.raises(UserError, match="references"):
    qa.accuracy(["man"], ["man"], ["who"], VOCABULARY, references=[])


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 4), st.integers(0, 2)), min_size=1))
def test_equals_loops(rows: list[tuple[int, int, int]]) -> None:
  possible = [*VOCABULARY, "zebra", "<unk>"]
  predicted = np.array([p for p, _, _ in rows])
  answers, types = [possible[a] for _, a, _ in rows], ["abc"[t] for _, _, t in rows]
  result = qa.accuracy(predicted, answers, types, VOCABULARY, resamples=2)
  assert result["accuracy"] == pytest.approx(100 * sum(p == a for p, a, _ in rows) / len(rows))
  assert result["ceiling"] == pytest.approx(100 * sum(a < 3 for _, a, _ in rows) / len(rows))
  assert set(result["by_type"]) == set(types)
  total = sum(t["accuracy"] * t["questions"] for t in result["by_type"].values())
  assert total / len(rows) == pytest.approx(result["accuracy"])
  sizes = [t["questions"] for t in result["by_type"].values()]
  assert sizes == sorted(sizes, reverse=True)
  assert sum(sizes) == len(rows)


def test_interval_draws_whole_videos() -> None:
  right = np.repeat([0, 1] * 20, 30)
  answers, types = ["dog"] * 1200, ["what"] * 1200
  by_question = qa.accuracy(right, answers, types, VOCABULARY)["interval"]
  videos = np.repeat([f"video{i}" for i in range(40)], 30)
  by_video = qa.accuracy(right, answers, types, VOCABULARY, clusters=videos)["interval"]
  assert by_video[1] - by_video[0] > 4 * (by_question[1] - by_question[0])


@pytest.mark.parametrize("given_as", [int, str, lambda i: question_types.ACTIVITYNET_QA.name(i)])
def test_types_may_be_ids_and_names(given_as) -> None:
  """Yes/no (3) comes first in the file, so its place in the file is not its id."""
  types = [given_as(i) for i in (3, 8, 0, 0, 2)]
  found = qa.accuracy(
      ["man", "dog", "man", "two", "dog"], ANSWERS, types, VOCABULARY,
      dataset_types=question_types.ACTIVITYNET_QA,
  )
  assert found["by_type"]["motion"] == {"accuracy": 50.0, "ceiling": 50.0, "questions": 2}
  assert found["by_type"]["yes/no"]["accuracy"] == 100.0
  assert found["by_group"] == {"free": {"accuracy": 100.0, "ceiling": 100.0, "questions": 2}}


def test_unknown_type_ids() -> None:
  with pytest.raises(UserError, match=r"question type 9: unknown: there are 0 \(motion\), "):
    qa.accuracy(
        ["man"], ["man"], [9], VOCABULARY, dataset_types=question_types.ACTIVITYNET_QA
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"predicted": [], "answers": [], "types": []}, "the split has no question"),
        ({"predicted": ["man"]}, "1 predictions for 5 examples"),
        ({"types": ["who"]}, "1 types for 5 examples"),
        ({"clusters": np.arange(3)}, "3 clusters for 5 examples"),
        ({"predicted": np.array([0, 0, 3, 0, 0])}, "prediction 3 of question 2 is outside"),
        ({"predicted": np.array([0, -2, 0, 0, 0])}, "prediction -2 of question 1 is outside"),
        ({"predicted": np.zeros(5)}, "predictions that are not answers of type float64"),
    ],
)
def test_bad_input(change: dict, said: str) -> None:
  inputs = {"predicted": ["man"] * 5, "answers": ANSWERS, "types": TYPES} | change
  with pytest.raises(UserError, match=said):
    qa.accuracy(**inputs, vocabulary=VOCABULARY)
