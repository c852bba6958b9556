"""Accuracy of choices against loops; ties, candidates that are not there, chance."""

import json

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import multiple_choice, question_types


@st.composite
def questions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Few different scores, 1 to 5 candidates a question, any of them real."""
  count = draw(st.integers(1, 12))
  levels = st.sampled_from([-2.0, -0.5, 0.0, 3.0])
  scores = draw(st.lists(st.lists(levels, min_size=5, max_size=5), min_size=count, max_size=count))
  real = draw(st.lists(
      st.lists(st.integers(0, 4), unique=True, min_size=1), min_size=count, max_size=count
  ))
  answers = [draw(st.sampled_from(r)) for r in real]
  mask = np.zeros((count, 5), bool)
  for row, r in enumerate(real):
    mask[row, r] = True
  return np.array(scores), np.array(answers), mask


@given(questions())
def test_equals_loops(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
  scores, answers, mask = case
  expected, chance = [], []
  for row, answer, real in zip(scores.tolist(), answers.tolist(), mask.tolist(), strict=True):
    held = {k: s for k, s in enumerate(row) if real[k]}
    best = [k for k, s in held.items() if s == max(held.values())]
    expected.append(best.count(answer) / len(best))
    chance.append(1 / len(held))
  np.testing.assert_allclose(multiple_choice.points(scores, answers, mask), expected)
  types = [str(i % 2) for i in range(len(answers))]
  found = multiple_choice.accuracy(scores, answers, types, mask=mask, resamples=2)
  assert found["accuracy"] == pytest.approx(100 * np.mean(expected))
  assert found["chance"] == pytest.approx(100 * np.mean(chance))
  assert found["by_type"]["0"]["accuracy"] == pytest.approx(100 * np.mean(expected[::2]))
  assert found["by_type"]["0"]["chance"] == pytest.approx(100 * np.mean(chance[::2]))
  # Scores of candidates that are not there say nothing, NaN or not.
  noisy = np.where(mask, scores, np.nan)
  assert found == multiple_choice.accuracy(noisy, answers, types, mask=mask, resamples=2)


@pytest.mark.parametrize("value", [0.0, -7.5])
def test_constant_scores_are_chance(value: float) -> None:
  """How2QA's release has the answer first: an argmax would be right every time."""
  found = multiple_choice.accuracy(
      np.full((8, 4), value), np.zeros(8, int), ["what"] * 8, resamples=10
  )
  assert found["accuracy"] == found["chance"] == 25.0
  assert found["interval"] == [25.0, 25.0]


def test_official_groups_of_nextqa() -> None:
  types = ["CW", "CH", "TN", "TP", "TC", "DC", "DL"]
  right = np.array([1, 0, 1, 0, 1, 1, 0], bool)
  scores = np.eye(5)[np.where(right, 2, 3)]
  found = multiple_choice.accuracy(
      scores, np.full(7, 2), types, dataset_types=question_types.NEXTQA, resamples=2
  )
  assert found["by_type"]["TN"] == {"accuracy": 50.0, "chance": 20.0, "questions": 2}
  assert "TP" not in found["by_type"]
  groups = {name: group["accuracy"] for name, group in found["by_group"].items()}
  assert groups == pytest.approx({"causal": 50, "temporal": 200 / 3, "descriptive": 50})
  assert json.loads(json.dumps(found)) == found


def test_interval_draws_whole_videos() -> None:
  right = np.repeat([0, 1] * 20, 30)
  scores, answers, types = np.eye(4)[right], np.ones(1200, int), ["what"] * 1200
  by_question = multiple_choice.accuracy(scores, answers, types)["interval"]
  videos = np.repeat([f"video{i}" for i in range(40)], 30)
  by_video = multiple_choice.accuracy(scores, answers, types, clusters=videos)["interval"]
  assert by_video[1] - by_video[0] > 4 * (by_question[1] - by_question[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": np.zeros((0, 4)), "answers": np.zeros(0, int), "types": []}, "no question"),
        ({"scores": np.zeros(3)}, r"scores .*\(3,\): give numbers \[3 questions, candidates\]"),
        ({"scores": np.zeros((2, 4))}, "2 scores for 3 examples"),
        ({"types": ["a"]}, "1 types for 3 examples"),
        ({"clusters": np.zeros(2)}, "2 clusters for 3 examples"),
        ({"scores": np.array([[0, 1], [np.nan, 0], [0, 1]])}, "scores of example 1 is not finite"),
        ({"answers": np.array([0, 4, 0])}, "the answer of question 1 is candidate 4"),
        ({"answers": np.array([0, 1, -1])}, "the answer of question 2 is candidate -1"),
        ({"answers": np.array([0.0, 1.0, 1.0])}, "answers of type float64"),
        ({"mask": np.eye(4, dtype=bool)[:3]}, "the answer of question 1 is candidate 0"),
        ({"mask": np.ones((3, 4))}, "mask of type float64"),
        ({"mask": np.ones((3, 2), bool)}, r"mask of type bool \(3, 2\)"),
        ({"dataset_types": question_types.NEXTQA}, "question type 'what': unknown"),
    ],
)
def test_bad_input(change: dict, said: str) -> None:
  given = {"scores": np.zeros((3, 4)), "answers": np.zeros(3, int), "types": ["what"] * 3} | change
  with pytest.raises(UserError, match=said):
    multiple_choice.accuracy(**given, resamples=2)


def test_a_question_without_a_choice_is_wrong_and_counted() -> None:
  scores, answers = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]), np.array([0, 0, 1])
  answered = np.array([True, False, True])
  found = multiple_choice.accuracy(scores, answers, ["", "", ""], answered=answered, resamples=20)
  assert (found["accuracy"], found["questions"]) == (pytest.approx(100 / 3), 3)


def test_several_candidates_may_be_right() -> None:
  """Each of equal texts counts, alone or with others, and chance is what they have together."""
  also = np.array([[True, False, True, False]] * 3)
  scores = np.array([[0, 0, 5, 1], [5, 0, 5, 0], [5, 5, 5, 0]], float)
  answers = np.zeros(3, int)
  assert multiple_choice.points(scores, answers, also=also) == pytest.approx([1, 1, 2 / 3])
  assert multiple_choice.points(scores, answers) == pytest.approx([0, 1 / 2, 1 / 3])
  found = multiple_choice.accuracy(scores, answers, ["what"] * 3, also=also, resamples=2)
  assert found["chance"] == pytest.approx(50.0)
  assert found["accuracy"] == pytest.approx(100 * (1 + 1 + 2 / 3) / 3)
  # What is not there is not right either.
  mask = np.array([[True, True, False, True]] * 3)
  assert multiple_choice.points(scores, answers, mask, also) == pytest.approx([0, 1, 1 / 2])
  with pytest.raises(UserError, match="also"):
    multiple_choice.points(scores, answers, also=also[:, :3])
