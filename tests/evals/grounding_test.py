"""NExT-GQA's overlaps against the official loop, written again, and by hand."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals.grounding import grounding

TIMES = st.integers(0, 20).map(float)
WINDOWS = st.tuples(TIMES, TIMES).map(sorted)
TRUE = st.tuples(TIMES, TIMES).filter(lambda t: t[0] != t[1]).map(sorted)


def reference(span: list[float], locs: list[list[float]]) -> tuple[float, float]:
  """The best IoU and IoP, as eval_ground.py finds them."""
  best_iou = best_iop = 0.0
  for loc in locs:
    if span[0] == span[1]:
      iou, iop = 0.0, float(loc[0] <= span[0] <= loc[1])
    else:
      shared = min(loc[1], span[1]) - max(loc[0], span[0])
      iou = shared / (max(loc[1], span[1]) - min(loc[0], span[0]))
      iop = shared / (span[1] - span[0])
    best_iou, best_iop = max(best_iou, iou), max(best_iop, iop)
  return best_iou, best_iop


@given(st.lists(
    st.tuples(WINDOWS, st.lists(TRUE, min_size=1, max_size=3), st.booleans()), min_size=1))
def test_equals_the_official_loop(rows) -> None:
  windows = np.array([window for window, _, _ in rows])
  truth = [true for _, true, _ in rows]
  right = np.array([correct for _, _, correct in rows])
  found = grounding(windows, truth, correct=right, resamples=2)
  iou, iop = np.array([reference(window, true) for window, true, _ in rows]).T
  expected = {
      "mean_iou": iou, "iou_0.3": iou >= 0.3, "iou_0.5": iou >= 0.5,
      "mean_iop": iop, "iop_0.3": iop >= 0.3, "iop_0.5": iop >= 0.5,
      "accuracy": right, "acc_gqa": right & (iop >= 0.5), "asa": right & (iou >= 0.5),
  }
  for name, values in expected.items():
    assert found[name] == pytest.approx(100 * np.mean(values)), name
  assert found["questions"] == len(rows)
  assert set(found["interval"]) == set(expected)


def test_a_narrow_window_inside_has_all_of_the_iop() -> None:
  found = grounding(np.array([[4.0, 5.0]]), [[[0.0, 2.0], [3.0, 8.0]]], resamples=2)
  assert (found["mean_iop"], found["mean_iou"]) == (100.0, 20.0)
  assert "acc_gqa" not in found


@pytest.mark.parametrize(
    ("windows", "truth", "said"),
    [
        (np.zeros((0, 2)), [], "the split has no question"),
        (np.array([[0.0, 1.0]]), [[]], "question 0 has no true window"),
        (np.array([[0.0, np.nan]]), [[[0, 1]]], "windows of example 0 is not finite"),
        (np.array([[0.0, 1.0]]), [[[0, np.nan]]], "true windows of example 0 is not finite"),
        (np.array([[0.0, 1.0]]), [[[0, 1]], [[0, 1]]], "2 truth for 1 examples"),
        (np.array([[0.0, 1.0, 2.0]]), [[[0, 1]]], r"windows .*\(1, 3\): .*\[questions, 2 ends\]"),
    ],
)
def test_bad_input(windows, truth, said: str) -> None:
  with pytest.raises(UserError, match=said):
    grounding(windows, truth)


def test_times_without_length_are_missed_as_by_tvqa_plus() -> None:
  """Its two of 3,017 questions make the gold answers' ASA 0.999337 (eval/readme.txt)."""
  windows = np.tile([2.0, 5.0], (3017, 1))
  windows[:2, 1] = windows[:2, 0]
  found = grounding(windows, windows[:, None].tolist(), correct=np.ones(3017, bool), resamples=2)
  assert found["asa"] / 100 == pytest.approx(0.999337, abs=5e-7)
  assert found["mean_iou"] == pytest.approx(found["asa"])
