"""Frame sampling and temporal overlap, against hand-made cases and properties."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.data import frames


def _choose(count, taken, segments, where=0.5):
  return frames.choose_frames(
      np.arange(count, dtype=np.float32),
      float(count),
      frames=taken,
      segments=segments,
      jitter=np.full(taken, where, np.float32),
  )


def test_takes_the_middle_of_equal_runs():
  choice = _choose(12, 4, 2)
  assert choice.index.tolist() == [1, 4, 7, 10]
  assert choice.segment.tolist() == [1, 1, 2, 2]
  assert choice.bounds.tolist() == [[0, 6], [6, 12]]


def test_a_short_video_gives_all_it_has_and_padding():
  choice = _choose(3, 5, 4)
  assert choice.index.tolist() == [0, 1, 2, 0, 0]
  assert choice.mask.tolist() == [True] * 3 + [False] * 2
  assert choice.segment.tolist() == [1, 2, 3, 0, 0]
  assert choice.bounds[:3].tolist() == [[0, 1], [1, 2], [2, 3]]
  assert np.isnan(choice.bounds[3]).all()


def test_one_frame_is_one_segment_as_long_as_the_video():
  choice = frames.choose_frames(
      np.array([0.0]), 7.5, frames=4, segments=2, jitter=np.zeros(4, np.float32)
  )
  assert choice.mask.sum() == 1
  assert choice.bounds[0].tolist() == [0, 7.5]


@given(
    st.integers(1, 60),
    st.integers(1, 20),
    st.integers(1, 8),
    st.floats(0, 1, exclude_max=True, width=32),
)
def test_properties_of_any_choice(count, taken, segments, where):
  choice = _choose(count, taken, segments, where)
  real = choice.mask
  assert real.sum() == min(count, taken)
  assert (np.diff(choice.index[real]) > 0).all() and choice.index[real].max() < count
  assert (np.diff(choice.segment[real]) >= 0).all()
  used = np.unique(choice.segment[real])
  assert used.tolist() == list(range(1, min(segments, real.sum()) + 1))
  sizes = np.bincount(choice.segment[real])[1:]
  assert sizes.max() - sizes.min() <= 1
  bounds = choice.bounds[: len(used)]
  # The segments tile the video, and every frame lies in its own.
  assert bounds[0, 0] == 0 and bounds[-1, 1] == count
  assert (bounds[1:, 0] == bounds[:-1, 1]).all()
  mine = bounds[choice.segment[real] - 1]
  assert (mine[:, 0] <= choice.index[real]).all() and (choice.index[real] < mine[:, 1]).all()


def test_jitter_covers_the_whole_run_and_keeps_the_segments():
  low, high = _choose(12, 4, 2, 0.0), _choose(12, 4, 2, 0.99)
  assert low.index.tolist() == [0, 3, 6, 9]
  assert high.index.tolist() == [2, 5, 8, 11]
  assert low.bounds.tolist() == high.bounds.tolist()


def test_iou_of_known_intervals():
  video = np.array([[0, 2], [2, 4], [np.nan, np.nan]])
  text = np.array([[0, 2], [1, 3], [0, 4], [np.nan, np.nan], [9, 9]])
  found = frames.temporal_iou(video, text)
  expected = [[1, 1 / 3, 0.5, -1, 0], [0, 1 / 3, 0.5, -1, 0], [-1] * 5]
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_iou_of_several_clips_at_once():
  rng = np.random.default_rng(0)
  video, text = (np.sort(rng.uniform(0, 9, (5, many, 2))) for many in (3, 4))
  text[1, 2] = np.nan
  one_by_one = [frames.temporal_iou(*pair) for pair in zip(video, text, strict=True)]
  np.testing.assert_array_equal(frames.temporal_iou(video, text), one_by_one)


def test_what_clips_of_one_length_share_cannot_be_written_to():
  choice = _choose(3, 5, 4)
  with pytest.raises(ValueError, match="read-only"):
    choice.mask[0] = False
  choice.index[0] = 2
  assert _choose(3, 5, 4).index.tolist() == [0, 1, 2, 0, 0]


@pytest.mark.parametrize("where", [0.0, 0.5, 0.999])
def test_frame_times_need_not_be_even(where):
  times = np.array([0.0, 0.1, 5.0, 9.0])
  choice = frames.choose_frames(
      times, 10.0, frames=2, segments=2, jitter=np.full(2, where, np.float32)
  )
  assert choice.bounds.tolist() == [[0, 5], [5, 10]]
