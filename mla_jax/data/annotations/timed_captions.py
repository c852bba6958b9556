"""Sentences with times, in the layout of ActivityNet Captions: paragraphs, or moments to find."""

from collections.abc import Callable, Iterator
import pathlib
from typing import TypeAlias

from mla_jax.data.annotations import activitynet, files, msrvtt, paragraphs
from mla_jax.data.annotations.paragraphs import TimedVideo
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_SEGMENTS = "segments.json"
_UNLABELED = "unlabeled"  # The split of videos without captions in MSRVTT_data.json.
_FILES = ("train", "val", "val_1", "val_2", "test")

TextsOf: TypeAlias = Callable[[TimedVideo, str], list[TextItem]]
SplitOf: TypeAlias = Callable[[str], str]
Official: TypeAlias = tuple[int | None, int | None]  # Videos and sentences.


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
  return _read(directory, "timed_captions", _paragraph, "kept without times")


def read_localisation(directory: pathlib.Path) -> Annotations:
  """Every sentence is a query with one moment. Files, splits and errors: `read_timed_captions`.

  Sentences whose end is not after their start are left out, and named in a note.
  """
  return _read(directory, "localisation", paragraphs.queries, "left out")


def _paragraph(timed: TimedVideo, split: str) -> list[TextItem]:
  video = timed.video_id
  return [paragraphs.paragraph(f"{video}@{split}", video, split, timed.sentences)]


def _read(directory: pathlib.Path, task: str, texts_of: TextsOf, otherwise: str) -> Annotations:
  items: list[TextItem] = []
  videos: dict[str, Video] = {}
  counts: list[Count] = []
  notes: list[str] = []
  for path, split_of, official in _sources(directory):
    tally = Tally(path)
    before = len(items)
    for timed in paragraphs.read_timed(path, tally, otherwise):
      videos.setdefault(timed.video_id, activitynet.video(timed.video_id))
      if timed.sentences:
        items += texts_of(timed, split_of(timed.video_id))
      else:
        tally.add("videos have no sentence: no text")
    if len(items) == before:
      raise UserError(f"{path}: has no sentence: get the file again or take it out")
    notes += tally.notes()
    counts += _counts(items[before:], official)
  counts.insert(0, Count("videos", len(videos), None))
  return Annotations(
      "timed", task, tuple(items), tuple(videos.values()), tuple(counts), tuple(notes))


def _sources(directory: pathlib.Path) -> Iterator[tuple[pathlib.Path, SplitOf, Official]]:
  """The files that are there, whose videos are of which split, and the official sizes."""
  segments = files.find(directory, _SEGMENTS)
  if segments is not None:
    yield segments, _split_of(directory), (None, None)
    return
  found = [(stem, path) for stem in _FILES if (path := files.find(directory, f"{stem}.json"))]
  if not found:
    raise UserError(f"{directory}: has neither {_SEGMENTS} nor any of {', '.join(_FILES)} (.json): "
                    "put the dataset's files there")
  for stem, path in found:
    yield path, _always(stem), activitynet.OFFICIAL.get(stem, (None, None))


def _split_of(directory: pathlib.Path) -> SplitOf:
  """Which split a video of `segments.json` belongs to."""
  if files.find(directory, msrvtt.DATA) is None:
    return _always("train")
  splits = msrvtt.video_splits(directory)

  def split_of(video: str) -> str:
    split = splits.get(video, _UNLABELED)
    if not split:
      raise UserError(
          f"{directory}: {msrvtt.DATA} states no split of {video}: put the files of the full split "
          "there, MSRVTT_{train,val,test}.full.csv"
      )
    return "train" if split == _UNLABELED else split

  return split_of


def _always(split: str) -> SplitOf:
  return lambda video: split


def _counts(items: list[TextItem], official: Official) -> list[Count]:
  counts = []
  for split in dict.fromkeys(item.split for item in items):
    own = [item for item in items if item.split == split]
    counts += [
        Count(f"{split} videos with sentences", len({item.video_id for item in own}), official[0]),
        Count(f"{split} sentences", sum(len(item.segments) for item in own), official[1])]
  return counts
