"""Sentences with times, in the layout of ActivityNet Captions."""

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any

from mla_jax.data.annotations import files, msrvtt
from mla_jax.data.annotations.schema import Annotations, Count, Segment, TextItem, Video
from mla_jax.errors import UserError

_SEGMENTS = "segments.json"
_UNLABELED = "unlabeled"  # The split of videos without captions in MSRVTT_data.json.
_FILES = ("train", "val", "val_1", "val_2", "test")
_OFFICIAL = {  # Videos and sentences of ActivityNet Captions.
    "train": (10009, 37421), "val_1": (4917, 17505), "val_2": (4885, 17031)}


@dataclasses.dataclass
class _Repairs:
  """How often each documented repair was made."""

  stripped: int = 0
  clipped: int = 0
  untimed: int = 0
  silent: int = 0


def read_timed_captions(directory: pathlib.Path) -> Annotations:
  """One text a video: its sentences joined with a blank, each a segment with its times in seconds.

  Files: `segments.json`, or those of `train.json, val.json, val_1.json, val_2.json, test.json` that
  are there (split = the file's stem): `{video: {"duration", "timestamps", "sentences"}}`. The texts
  of `segments.json` are of split "train"; with `MSRVTT_data.json` beside it, of their video's split
  there, so that sentences about a held-out video never train a model that is evaluated on it.
  Videos of split "unlabeled" there, and those it does not list, are nobody's test videos: "train".

  Repairs, counted in `notes`: blanks around sentences go; times are clipped to [0, duration]; a
  sentence whose end is then not after its start keeps its text and loses its times (NaN).

  Raises:
    UserError: no file, a malformed entry, an empty sentence, a file without sentences.
  """
  segments = files.find(directory, _SEGMENTS)
  items: list[TextItem] = []
  videos: dict[str, Video] = {}
  counts: list[Count] = []
  notes: list[str] = []
  if segments is not None:
    _read_file(segments, _split_of(directory), items, videos, notes)
    for split in dict.fromkeys(item.split for item in items):
      counts += _counts([item for item in items if item.split == split], split, (None, None))
  else:
    for stem in _FILES:
      path = files.find(directory, f"{stem}.json")
      if path is not None:
        before = len(items)
        _read_file(path, _always(stem), items, videos, notes)
        counts += _counts(items[before:], stem, _OFFICIAL.get(stem, (None, None)))
  if not items:
    raise UserError(f"{directory}: has neither {_SEGMENTS} nor any of {', '.join(_FILES)} (.json): "
                    "put the dataset's files there")
  counts.insert(0, Count("videos", len(videos), None))
  return Annotations(
      "timed", "timed_captions", tuple(items), tuple(videos.values()), tuple(counts), tuple(notes))


def _read_file(
    path: pathlib.Path, split_of: Callable[[str], str], items: list[TextItem],
    videos: dict[str, Video], notes: list[str],
) -> None:
  repairs = _Repairs()
  before = len(items)
  for name, record in files.read_json(path, dict).items():
    where = f"{path}: {files.short(name)}"
    video = files.check_id(name, str(path))
    videos.setdefault(video, Video(video, _media_names(video)))
    item = _read_video(video, split_of(video), files.expect(record, dict, where), where, repairs)
    if item is None:
      repairs.silent += 1
    else:
      items.append(item)
  if len(items) == before:
    raise UserError(f"{path}: has no sentence: get the file again or take it out")
  for count, text in (
      (repairs.clipped, "sentences had times outside [0, duration]: clipped"),
      (repairs.untimed, "sentences had an end that is not after their start: kept without times"),
      (repairs.silent, "videos have no sentence: no text"),
  ):
    if count:
      notes.append(f"{path.name}: {count:,} {text}")
  notes += files.stripped_note(path, "sentences", repairs.stripped)


def _read_video(
    video: str, split: str, record: dict[str, Any], where: str, repairs: _Repairs
) -> TextItem | None:
  duration = files.finite(record.get("duration"), f"{where}: 'duration'")
  if duration <= 0:
    raise UserError(f"{where}: 'duration' is {duration:g}, not above 0: {files.MEND}")
  sentences = files.field(record, "sentences", list, where)
  times = files.field(record, "timestamps", list, where)
  if len(times) != len(sentences):
    raise UserError(
        f"{where}: {len(times)} timestamps for {len(sentences)} sentences: {files.MEND}")
  segments: list[Segment] = []
  text = ""
  for number, (sentence, span) in enumerate(zip(sentences, times, strict=True)):
    clean = files.clean_text(sentence, f"{where}: sentence {number}")
    repairs.stripped += clean != sentence
    text = f"{text} {clean}" if text else clean
    start, end = _times(span, duration, f"{where}: timestamps {number}", repairs)
    segments.append(Segment(len(text) - len(clean), len(text), start, end))
  return TextItem(f"{video}@{split}", video, split, text, tuple(segments)) if segments else None


def _times(span: Any, duration: float, where: str, repairs: _Repairs) -> tuple[float, float]:
  if len(files.expect(span, list, where)) != 2:
    raise UserError(f"{where} are {files.short(span)}, not [start, end]: {files.MEND}")
  start, end = (files.finite(value, where) for value in span)
  if end <= start:
    repairs.untimed += 1
    return float("nan"), float("nan")
  clipped = min(max(start, 0.0), duration), min(max(end, 0.0), duration)
  if clipped[0] >= clipped[1]:
    repairs.untimed += 1
    return float("nan"), float("nan")
  repairs.clipped += clipped != (start, end)
  return clipped


def _split_of(directory: pathlib.Path) -> Callable[[str], str]:
  """Which split a video of `segments.json` belongs to."""
  if files.find(directory, msrvtt.DATA) is None:
    return _always("train")
  splits = msrvtt.video_splits(directory)
  return lambda video: "train" if splits.get(video) in (None, _UNLABELED) else splits[video]


def _always(split: str) -> Callable[[str], str]:
  return lambda video: split


def _media_names(video: str) -> tuple[str, ...]:
  return (video, video[2:]) if video.startswith("v_") and len(video) > 2 else (video,)


def _counts(
    items: list[TextItem], split: str, official: tuple[int | None, int | None]
) -> list[Count]:
  sentences = sum(len(item.segments) for item in items)
  return [Count(f"{split} videos with sentences", len(items), official[0]),
          Count(f"{split} sentences", sentences, official[1])]
