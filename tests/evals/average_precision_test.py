"""Average precision of windows and clips against their definitions in loops."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.evals import average_precision, localisation

windows = st.tuples(st.integers(0, 12), st.integers(1, 8)).map(lambda w: (w[0], w[0] + w[1]))


def naive_of_windows(predicted, scores, truth, threshold: float) -> float:
  """Precision at each place of the ranking, interpolated over the recalls that are reached."""
  ranked = sorted(range(len(predicted)), key=lambda i: -scores[i])
  free, hits, points = set(range(len(truth))), 0, []
  for place, i in enumerate(ranked, start=1):
    overlaps = {
        j: float(localisation.temporal_iou(np.array(predicted[i]), np.array(truth[j])))
        for j in free
    }
    best = max(overlaps, key=lambda j: (overlaps[j], j), default=None)
    if best is not None and overlaps[best] >= threshold:
      free.remove(best)
      hits += 1
    points.append((hits / len(truth), hits / place))
  recalls = sorted({r for r, _ in points} | {0.0})
  return sum(
      (high - low) * max(p for r, p in points if r >= high)
      for low, high in itertools.pairwise(recalls)
  )


@given(
    st.lists(st.tuples(windows, st.sampled_from([0.1, 0.5, 0.9])), max_size=8),
    st.lists(windows, min_size=1, max_size=4),
)
def test_windows_equal_loops(predicted, truth) -> None:
  found = average_precision.of_windows(
      np.array([w for w, _ in predicted], float).reshape(-1, 2),
      np.array([s for _, s in predicted]),
      np.array(truth, float),
      (0.5, 0.7, 0.95),
  )
  for value, threshold in zip(found, (0.5, 0.7, 0.95), strict=True):
    assert value == pytest.approx(
        naive_of_windows([w for w, _ in predicted], [s for _, s in predicted], truth, threshold)
    )


def test_windows_by_hand() -> None:
  """Hit, miss, hit again of the same moment (a miss), hit of the other: 1/2 (1 + 2/4)."""
  predicted = np.array([[0, 10], [50, 60], [0, 10], [20, 30]], float)
  found = average_precision.of_windows(
      predicted, np.array([0.9, 0.8, 0.7, 0.6]), np.array([[0, 10], [20, 30]], float), (0.5,)
  )
  assert found.tolist() == [0.75]


def naive_of_clips(scores: list[float], relevant: list[bool]) -> float:
  if len(set(relevant)) == 1:
    return float(relevant[0])
  points = []
  for threshold in set(scores):
    taken = [r for s, r in zip(scores, relevant, strict=True) if s >= threshold]
    points.append((sum(taken), sum(taken) / len(taken)))
  reached = {hits for hits, _ in points if hits}
  return float(np.mean([max(p for hits, p in points if hits >= step) for step in reached]))


@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.3, 2.0]), st.booleans()), min_size=1))
def test_clips_equal_loops(clips: list[tuple[float, bool]]) -> None:
  scores, relevant = [s for s, _ in clips], [r for _, r in clips]
  found = average_precision.of_clips(np.array(scores), np.array(relevant))
  assert found == pytest.approx(naive_of_clips(scores, relevant))


def test_constant_scores_are_chance() -> None:
  relevant = np.arange(75) % 5 == 0
  assert average_precision.of_clips(np.zeros(75), relevant) == pytest.approx(0.2)
