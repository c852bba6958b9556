"""Sentences with times, in the layout of ActivityNet Captions."""

from collections.abc import Callable
import pathlib

from mla_jax.data.annotations import activitynet, files, msrvtt, paragraphs
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_SEGMENTS = "segments.json"
_UNLABELED = "unlabeled"  # The split of videos without captions in MSRVTT_data.json.
_FILES = ("train", "val", "val_1", "val_2", "test")


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
        counts += _counts(items[before:], stem, activitynet.OFFICIAL.get(stem, (None, None)))
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
  tally = Tally(path)
  before = len(items)
  for timed in paragraphs.read_timed(path, tally, "kept without times"):
    video = timed.video_id
    videos.setdefault(video, activitynet.video(video))
    if timed.sentences:
      split = split_of(video)
      items.append(paragraphs.paragraph(f"{video}@{split}", video, split, timed.sentences))
    else:
      tally.add("videos have no sentence: no text")
  if len(items) == before:
    raise UserError(f"{path}: has no sentence: get the file again or take it out")
  notes += tally.notes()


def _split_of(directory: pathlib.Path) -> Callable[[str], str]:
  """Which split a video of `segments.json` belongs to."""
  if files.find(directory, msrvtt.DATA) is None:
    return _always("train")
  splits = msrvtt.video_splits(directory)
  return lambda video: "train" if splits.get(video) in (None, _UNLABELED) else splits[video]


def _always(split: str) -> Callable[[str], str]:
  return lambda video: split


def _counts(
    items: list[TextItem], split: str, official: tuple[int | None, int | None]
) -> list[Count]:
  sentences = sum(len(item.segments) for item in items)
  return [Count(f"{split} videos with sentences", len(items), official[0]),
          Count(f"{split} sentences", sentences, official[1])]
