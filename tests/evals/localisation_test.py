"""IoU, recall at IoU and suppression against loops; ties in expectation; rows without length."""

import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import localisation


def naive_iou(a: list[float], b: list[float]) -> float:
  """By counting quarters of a second, on whose bounds all windows of these tests lie."""
  ticks = [[t for t in range(-80, 400) if 4 * s <= t < 4 * e] for s, e in (a, b)]
  both, either = set(ticks[0]) & set(ticks[1]), set(ticks[0]) | set(ticks[1])
  return len(both) / len(either) if both else 0.0


# Some windows end where they start, or before.
windows = st.tuples(st.integers(0, 20), st.integers(-4, 20)).map(
    lambda w: [w[0] / 4, (w[0] + w[1]) / 4]
)


@given(windows, windows)
def test_iou_equals_counting(a: list[float], b: list[float]) -> None:
  found = localisation.temporal_iou(np.array(a), np.array(b))
  assert found == pytest.approx(naive_iou(a, b))
  assert found == localisation.temporal_iou(np.array(b), np.array(a))


@st.composite
def proposals(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
  """Up to 5 windows a query, some not there, with few different scores."""
  count = draw(st.integers(1, 4))
  rows = [draw(st.lists(windows, min_size=5, max_size=5)) for _ in range(count)]
  scores = [draw(st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=5, max_size=5)) for _ in rows]
  mask = [draw(st.lists(st.booleans(), min_size=5, max_size=5)) for _ in rows]
  truth = [draw(windows) for _ in rows]
  return np.array(rows), np.array(scores), np.array(mask), np.array(truth)


@settings(max_examples=30)
@given(proposals())
def test_equals_the_mean_over_all_orders_of_equal_scores(case) -> None:
  rows, scores, mask, truth = case
  found = localisation.recall_at_iou(
      rows, scores, truth, mask=mask, recalls=(1, 3), thresholds=(0.3, 0.5), resamples=2
  )
  expected: dict[str, list[float]] = {}
  lists = (values.tolist() for values in (rows, scores, mask, truth))
  for row, score, real, true in zip(*lists, strict=True):
    orders = [
        order for order in itertools.permutations([i for i in range(5) if real[i]])
        if all(score[i] >= score[j] for i, j in itertools.pairwise(order))
    ]
    ious = [[naive_iou(row[i], true) for i in order] for order in orders]
    for n, m in itertools.product((1, 3), (0.3, 0.5)):
      hits = [any(x >= m for x in order[:n]) for order in ious]
      expected.setdefault(f"recall_at_{n}_iou_{m}", []).append(100 * np.mean(hits))
    first = [order[0] if order else 0.0 for order in ious]
    expected.setdefault("mean_iou", []).append(100 * np.mean(first))
  for name, values in expected.items():
    assert found[name] == pytest.approx(np.mean(values)), name
  assert found["queries"] == len(rows)


def test_constant_scores_are_chance() -> None:
  """One of ten windows is the moment: the first is it with 1/10, one of five with 1/2."""
  starts = np.arange(0.0, 100.0, 10.0)
  proposed = np.broadcast_to(np.stack([starts, starts + 10], axis=1), (50, 10, 2))
  truth = proposed[np.arange(50), np.arange(50) % 10]
  found = localisation.recall_at_iou(proposed, np.zeros((50, 10)), truth, resamples=5)
  assert found["recall_at_1_iou_0.5"] == pytest.approx(10.0)
  assert found["recall_at_5_iou_0.7"] == pytest.approx(50.0)
  assert found["mean_iou"] == pytest.approx(10.0)
  assert json.loads(json.dumps(found)) == found


def test_equal_to_the_threshold_counts() -> None:
  found = localisation.recall_at_iou(
      np.array([[[0.0, 5.0]]]), np.zeros((1, 1)), np.array([[0.0, 10.0]]), resamples=2
  )
  assert found["recall_at_1_iou_0.5"] == 100.0
  assert found["recall_at_1_iou_0.7"] == 0.0


@settings(max_examples=40)
@given(
    st.lists(st.tuples(windows, st.sampled_from([0.0, 1.0, 2.0])), max_size=9),
    st.sampled_from([0.0, 0.4, 0.7, 1.0]),
    st.integers(1, 4),
)
def test_suppression_equals_loops(rows, threshold: float, most: int) -> None:
  left = sorted(range(len(rows)), key=lambda i: -rows[i][1])  # Stable: the earlier stays first.
  kept: list[int] = []
  while left and len(kept) < most:
    best = left.pop(0)
    kept.append(best)
    left = [i for i in left if naive_iou(rows[best][0], rows[i][0]) <= threshold]
  found = localisation.non_maximum_suppression(
      np.array([w for w, _ in rows]).reshape(-1, 2), np.array([s for _, s in rows]), threshold, most
  )
  assert found.tolist() == kept


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"truth": np.zeros((0, 2)), "scores": np.zeros((0, 2)), "windows": np.zeros((0, 2, 2))},
         "the split has no query"),
        ({"scores": np.zeros((2, 2))}, "2 scores for 3 examples"),
        ({"truth": np.zeros((3, 3))}, r"truth of type float64 \(3, 3\)"),
        ({"windows": np.zeros((3, 4, 2))}, r"windows .*\(3, 4, 2\): .*\[3 queries, 2 prop"),
        ({"mask": np.ones((3, 2))}, "mask of type float64"),
        ({"clusters": np.zeros(2)}, "2 clusters"),
        ({"scores": np.full((3, 2), np.nan)}, "scores of example 0 is not finite"),
        ({"truth": np.array([[0, 1], [0, 1], [0, np.inf]])}, "truth of example 2 is not finite"),
        ({"windows": np.full((3, 2, 2), np.nan)}, "windows of example 0 is not finite"),
    ],
)
def test_bad_input(change: dict, said: str) -> None:
  given_ = {
      "windows": np.zeros((3, 2, 2)), "scores": np.zeros((3, 2)), "truth": np.ones((3, 2))
  } | change
  with pytest.raises(UserError, match=said):
    localisation.recall_at_iou(**given_, resamples=2)


def test_bad_windows_to_suppress() -> None:
  with pytest.raises(UserError, match=r"windows .*\(1, 2\): .*\[2 windows, 2 ends\]"):
    localisation.non_maximum_suppression(np.zeros((1, 2)), np.zeros(2), 0.5)
  with pytest.raises(UserError, match="scores of example 0 is not finite"):
    localisation.non_maximum_suppression(np.zeros((1, 2)), np.full(1, np.nan), 0.5)
