"""Which frames of a video a clip keeps, and how they fall into segments."""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class FrameChoice:
  """Frames taken from one video, padded to a fixed number T.

  `mask` and `segment` may be shared between clips.

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
  cut = _divide(len(times), frames, segments)
  taken = len(cut.starts)
  index = np.zeros(frames, np.int32)
  index[:taken] = cut.starts + (jitter[:taken] * cut.lengths).astype(np.int32)
  span = np.zeros((frames, 2), np.float32)
  begins = times[cut.starts]
  span[:taken, 0] = begins
  span[: taken - 1, 1] = begins[1:]
  span[taken - 1, 1] = max(duration, times[-1])
  bounds = cut.no_bounds.copy()
  bounds[: len(cut.corners)] = span.take(cut.corners)
  return FrameChoice(index, cut.mask, cut.segment, span, bounds)


@dataclasses.dataclass(frozen=True)
class _Division:
  """What clips of videos of one length have in common; shared, so not to be written to."""

  starts: np.ndarray  # [taken], the first of the stored frames each taken frame stands for, ...
  lengths: np.ndarray  # ... and how many these are.
  mask: np.ndarray  # [T]
  segment: np.ndarray  # [T]
  corners: np.ndarray  # [real segments, 2], places in a flat span: where each begins and ends.
  no_bounds: np.ndarray  # [N, 2]


@functools.lru_cache(maxsize=4096)
def _divide(stored: int, frames: int, segments: int) -> _Division:
  taken = min(stored, frames)
  real = min(segments, taken)
  edges = np.arange(taken + 1) * stored // taken
  segment = np.zeros(frames, np.int32)
  segment[:taken] = np.arange(taken) * real // taken + 1
  first = np.searchsorted(segment[:taken], np.arange(1, real + 1))
  last = np.append(first[1:], taken) - 1
  division = _Division(
      starts=edges[:-1],
      lengths=np.diff(edges),
      mask=np.arange(frames) < taken,
      segment=segment,
      corners=np.stack([2 * first, 2 * last + 1], axis=1),
      no_bounds=np.full((segments, 2), np.nan, np.float32),
  )
  for part in vars(division).values():
    part.setflags(write=False)
  return division


def temporal_iou(video: np.ndarray, text: np.ndarray) -> np.ndarray:
  """Temporal intersection over union of every video segment with every text segment.

  Args:
    video: `[..., N, 2]` seconds.
    text: `[..., M, 2]` seconds; NaN = unknown.

  Returns:
    float32 `[..., N, M]` in [0, 1]; -1 where either side's times are unknown.
  """
  video, text = video[..., :, None, :], text[..., None, :, :]
  start = np.maximum(video[..., 0], text[..., 0])
  end = np.minimum(video[..., 1], text[..., 1])
  lengths = (video[..., 1] - video[..., 0]) + (text[..., 1] - text[..., 0])
  shared = np.maximum(end - start, 0.0)
  with np.errstate(invalid="ignore", divide="ignore"):
    overlap = shared / np.maximum(lengths - shared, 1e-9)
  return np.where(np.isnan(overlap), -1.0, overlap).astype(np.float32)
