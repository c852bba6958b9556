"""Ways to spoil an input, to see whether a model uses what was spoilt."""

from collections.abc import Iterable
import dataclasses

from jaxtyping import Bool
import numpy as np

from mla_jax.data.frames import FrameChoice
from mla_jax.data.records import TextRecord

BLACK = "no_video"
ONE = "one_frame"
SHUFFLED = "shuffled_frames"
REVERSED = "reversed_frames"
SWAPPED = "swapped_phrases"
DISTRACTORS = "swapped_distractors"  # Retrieval: swapped texts beside the others.
FRAME_PROBES = (BLACK, ONE, SHUFFLED, REVERSED)


def spoil_frames(probe: str, choice: FrameChoice, video_key: int) -> FrameChoice:
  """What a probe of the frames leaves of a clip.

  The times, the mask and the segments stay; other frames stand there. "one_frame" keeps the middle
  one alone. "no_video" changes nothing here: what the frames show is blanked out later.

  Args:
    probe: of `FRAME_PROBES`.
    choice: the clip's frames.
    video_key: the video; its shuffle is the same in every run, and never the order itself.
  """
  real = np.flatnonzero(choice.mask)
  index = choice.index.copy()
  if probe == REVERSED:
    index[real] = index[real[::-1]]
  elif probe == SHUFFLED:
    index[real] = index[real[_shuffle(len(real), video_key)]]
  elif probe == ONE:
    only = np.arange(len(index)) == real[len(real) // 2]
    segment = np.where(only, 1, 0).astype(np.int32)
    return dataclasses.replace(choice, mask=only, segment=segment)
  return dataclasses.replace(choice, index=index)


def swap_phrases(record: TextRecord) -> TextRecord:
  """The text with its first and its last segment exchanged; as it is where it has just one."""
  if len(record.segments) < 2:
    return record
  first, last = record.segments[0], record.segments[-1]
  text, between = record.text, record.text[first.end : last.start]
  swapped = text[last.start : last.end] + between + text[first.start : first.end]
  shift = (last.end - last.start) - (first.end - first.start)
  moved = [
      dataclasses.replace(part, start=part.start + shift, end=part.end + shift)
      for part in record.segments[1:-1]
  ]
  head = dataclasses.replace(
      last, start=first.start, end=first.start + last.end - last.start
  )
  tail = dataclasses.replace(first, start=last.end - (first.end - first.start), end=last.end)
  return dataclasses.replace(
      record,
      text=text[: first.start] + swapped + text[last.end :],
      segments=(head, *moved, tail),
  )


def changed_by_swap(records: Iterable[TextRecord]) -> Bool[np.ndarray, " n"]:
  """Which texts `swap_phrases` changes."""
  return np.array([swap_phrases(record).text != record.text for record in records])


def _shuffle(count: int, key: int) -> np.ndarray:
  if count < 2:
    return np.arange(count)
  rng = np.random.default_rng((0x70726F6265, key))  # "probe"
  while True:
    order = rng.permutation(count)
    if (order != np.arange(count)).any():
      return order
