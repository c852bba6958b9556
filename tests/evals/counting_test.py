"""Counts against loops, and the two kinds of labels apart."""

import json

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import counting


@given(st.lists(st.tuples(st.floats(-5, 20), st.integers(0, 10)), min_size=1, max_size=20))
def test_equals_loops(rows: list[tuple[float, int]]) -> None:
  found = counting.errors(
      np.array([p for p, _ in rows]), np.array([y for _, y in rows]), resamples=3
  )
  counts = [min(max(round(p), 1), 10) for p, _ in rows]  # Python rounds halves to even, too.
  for kind, labels in (("raw", [y for _, y in rows]), ("clipped", [max(y, 1) for _, y in rows])):
    squared = [(c - y) ** 2 for c, y in zip(counts, labels, strict=True)]
    equal = [c == y for c, y in zip(counts, labels, strict=True)]
    assert found[f"mse_{kind}_labels"] == pytest.approx(np.mean(squared))
    assert found[f"accuracy_{kind}_labels"] == pytest.approx(100 * np.mean(equal))
  assert found["questions"] == len(rows)
  assert json.loads(json.dumps(found)) == found


def test_predictions_are_rounded_and_clipped() -> None:
  given_counts = np.array([-3.0, 0.4, 0.5, 1.5, 2.5, 2.51, 9.7, 10.4, 99.0])
  assert counting.as_counts(given_counts).tolist() == [1, 1, 1, 2, 2, 3, 10, 10, 10]


def test_interval_draws_whole_videos() -> None:
  labels = np.repeat([2, 6] * 20, 30)
  by_question = counting.errors(np.full(1200, 3), labels)["interval"]["mse_raw_labels"]
  videos = np.arange(1200) // 30
  by_video = counting.errors(np.full(1200, 3), labels, clusters=videos)["interval"]
  assert np.ptp(by_video["mse_raw_labels"]) > 4 * np.ptp(by_question)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"predicted": [], "labels": []}, "no question"),
        ({"predicted": np.zeros(2)}, "2 predictions for 3 examples"),
        ({"clusters": np.zeros(2)}, "2 clusters for 3 examples"),
        ({"predicted": np.array([1, np.nan, 2])}, "predictions of example 1 is not finite"),
        ({"predicted": np.array(["1", "2", "3"])}, "predictions of type <U1"),
        ({"labels": np.array([0, 11, 2])}, "the label of question 1 is 11"),
        ({"labels": np.array([0, 1, -1])}, "the label of question 2 is -1"),
        ({"labels": np.array([0.0, 1.0, 2.0])}, "labels of type float64"),
    ],
)
def test_bad_input(change: dict, said: str) -> None:
  with pytest.raises(UserError, match=said):
    counting.errors(**({"predicted": np.ones(3), "labels": np.arange(3)} | change), resamples=2)
