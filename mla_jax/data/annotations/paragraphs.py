"""Timed sentences about a video, in the layout of ActivityNet Captions, and paragraphs of them."""

from collections.abc import Iterator, Sequence
import dataclasses
import pathlib
from typing import Any, TypeAlias

from mla_jax.data.annotations import files, moments
from mla_jax.data.annotations.schema import Segment, TextItem
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

Window: TypeAlias = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class TimedVideo:
  """A video's sentences, each with its window in seconds, None where it has none."""

  video_id: str
  duration: float
  sentences: tuple[tuple[str, Window | None], ...]


def read_timed(path: pathlib.Path, tally: Tally, otherwise: str) -> Iterator[TimedVideo]:
  """Reads `{video: {"duration", "timestamps", "sentences"}}`.

  Blanks around sentences go, windows are clipped to [0, duration].

  Args:
    path: the file.
    tally: counts the repairs.
    otherwise: what becomes of sentences without a window in the video: "left out", which also names
      them in the note, or another word.

  Raises:
    UserError: a malformed entry, an empty sentence.
  """
  for name, record in files.read_json(path, dict).items():
    where = f"{path}: {files.short(name)}"
    video = files.check_id(name, str(path))
    record = files.expect(record, dict, where)
    duration = moments.read_duration(record.get("duration"), f"{where}: 'duration'")
    sentences = []
    for number, sentence, window in _pairs(record, where):
      text = tally.text(sentence, f"{where}: sentence {number}", "sentences")
      place = f"{video} {number}: {window[0]:g}-{window[1]:g}" if otherwise == "left out" else ""
      sentences.append((text, moments.clip_window(
          window, duration, tally, what="sentences", otherwise=otherwise, place=place)))
    yield TimedVideo(video, duration, tuple(sentences))


def paragraph(
    item_id: str, video_id: str, split: str, sentences: Sequence[tuple[str, Window | None]]
) -> TextItem:
  """One text: the sentences joined with a blank, each a segment with its window (NaN for None)."""
  segments: list[Segment] = []
  text = ""
  for sentence, window in sentences:
    text = f"{text} {sentence}" if text else sentence
    segments.append(Segment(len(text) - len(sentence), len(text), *(window or ())))
  return TextItem(item_id, video_id, split, text, tuple(segments))


def queries(timed: TimedVideo, split: str) -> list[TextItem]:
  """A text for every sentence that has a window, which is its moment."""
  video = timed.video_id
  return [
      TextItem(f"{video}@{split}@{number}", video, split, text,
               (Segment(0, len(text), *window),), moments=(window,), duration=timed.duration)
      for number, (text, window) in enumerate(timed.sentences) if window]


def _pairs(record: dict[str, Any], where: str) -> Iterator[tuple[int, Any, Window]]:
  sentences = files.field(record, "sentences", list, where)
  times = files.field(record, "timestamps", list, where)
  if len(times) != len(sentences):
    raise UserError(
        f"{where}: {len(times)} timestamps for {len(sentences)} sentences: {files.MEND}")
  for number, (sentence, window) in enumerate(zip(sentences, times, strict=True)):
    yield number, sentence, moments.read_window(window, f"{where}: timestamps {number}")
