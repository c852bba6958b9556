"""Which frames of a video a clip keeps, and how they fall into segments."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class FrameChoice:
  """Frames taken from one video, padded to a fixed number T.

  Attributes:
    index: int32 `[T]`, positions in the stored frames, 0 on padding.
    mask: bool `[T]`, True on real frames.
    segment: int32 `[T]`, 1..N in time order, 0 on padding.
    span: float32 `[T, 2]`, seconds each frame stands for, wherever jitter put it; 0 on padding.
    bounds: float32 `[N, 2]`, seconds each segment covers; NaN where it does not exist.
  """

  index: np.ndarray
  mask: np.ndarray
  segment: np.ndarray
  span: np.ndarray
  bounds: np.ndarray


def choose_frames(
    times: np.ndarray, duration: float, *, frames: int, segments: int, jitter: np.ndarray
) -> FrameChoice:
  """Spreads `frames` frames evenly over a video: one from each of as many equal runs of frames.

  Args:
    times: float `[n]`, seconds of the stored frames, increasing, n >= 1.
    duration: seconds; the last frame lasts until then.
    frames: T, how many to take; a shorter video gives all it has and padding.
    segments: N, contiguous runs the taken frames are divided into, as equal as can be; a clip
      of fewer frames has as many segments as frames.
    jitter: float `[T]` in [0, 1), where inside its run each frame is taken; 0.5 is the middle.
  """
  stored = len(times)
  taken = min(stored, frames)
  place = np.arange(taken)
  real = min(segments, taken)
  index = np.zeros(frames, np.int32)
  segment = np.zeros(frames, np.int32)
  starts = np.arange(taken + 1) * stored // taken
  index[:taken] = starts[:-1] + (jitter[:taken] * np.diff(starts)).astype(np.int32)
  segment[:taken] = place * real // taken + 1
  ends = np.append(times[1:], max(duration, times[-1]))
  span = np.zeros((frames, 2), np.float32)
  span[:taken, 0], span[:taken, 1] = times[starts[:-1]], ends[starts[1:] - 1]
  bounds = np.full((segments, 2), np.nan, np.float32)
  for number in range(real):
    places = np.flatnonzero(segment[:taken] == number + 1)
    bounds[number] = span[places[0], 0], span[places[-1], 1]
  return FrameChoice(index, np.arange(frames) < taken, segment, span, bounds)


def temporal_iou(video: np.ndarray, text: np.ndarray) -> np.ndarray:
  """Temporal intersection over union of every video segment with every text segment.

  Args:
    video: `[N, 2]` seconds.
    text: `[M, 2]` seconds; NaN = unknown.

  Returns:
    float32 `[N, M]` in [0, 1]; -1 where either side's times are unknown.
  """
  start = np.maximum(video[:, None, 0], text[None, :, 0])
  end = np.minimum(video[:, None, 1], text[None, :, 1])
  lengths = (video[:, 1] - video[:, 0])[:, None] + (text[:, 1] - text[:, 0])[None, :]
  shared = np.maximum(end - start, 0.0)
  with np.errstate(invalid="ignore", divide="ignore"):
    overlap = shared / np.maximum(lengths - shared, 1e-9)
  return np.where(np.isnan(overlap), -1.0, overlap).astype(np.float32)
