"""DiDeMo: paragraphs to retrieve videos by, and moments of 5-second chunks to localise.

A video's id is the stem of its Flickr name: the extensions differ between files and downloads.
Annotators saw the first 30 seconds, so only those are the video.
"""

import dataclasses
import itertools
import pathlib
from typing import Any

from mla_jax.data.annotations import counts, files, lists, paragraphs
from mla_jax.data.annotations.paragraphs import Window
from mla_jax.data.annotations.schema import Annotations, Count, Segment, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

CHUNK = 5.0  # Seconds.
MOST_CHUNKS = 6
_SPLITS = ("train", "val", "test")
_SENTENCES: dict[str, int | None] = {"train": 33005, "val": 4180, "test": 4021}
_LISTED = {"train": 8392, "val": 1065, "test": 1004}  # Of 8,395 training videos 3 are gone.


@dataclasses.dataclass(frozen=True)
class _Sentence:
  """A description, with the window in seconds of each of its annotators."""

  name: str
  video: str
  file: str
  text: str
  windows: tuple[Window, ...]
  duration: float


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """One text a video: all its descriptions in the file's order, each a segment with its times.

  Files: `{train,val,test}_data.json`, lists of `{"video", "description", "annotation_id",
  "num_segments", "times": [[first chunk, last chunk], ...]}`; where `{train,val,test}_list.txt`
  lies beside one, only its videos are taken. A segment's window is that annotator's who agrees most
  with the others.

  Raises:
    UserError: no file, a malformed, duplicate or empty entry, times outside the video.
  """
  splits, listed, notes = _read(directory)
  items = []
  for split, sentences in splits.items():
    grouped: dict[str, list[_Sentence]] = {}
    for sentence in sentences:
      grouped.setdefault(sentence.video, []).append(sentence)
    items += [
        paragraphs.paragraph(f"{video}@{split}", video, split, [
            (sentence.text, agreed(sentence.windows)) for sentence in group])
        for video, group in grouped.items()]
  found = counts.split_counts(items, "paragraphs", _LISTED, _LISTED)
  return _annotations("retrieval", items, splits, listed, found, notes)


def read_localisation(directory: pathlib.Path) -> Annotations:
  """Every description is a query; its moments are its annotators' (four, at times five to seven).

  `duration` is 5 seconds times the number of chunks: what the candidate moments are made of. Files
  and errors: see `read_retrieval`.
  """
  splits, listed, notes = _read(directory)
  items = [
      TextItem(f"{split}@{sentence.name}", sentence.video, split, sentence.text,
               (Segment(0, len(sentence.text), *agreed(sentence.windows)),),
               moments=sentence.windows, duration=sentence.duration)
      for split, sentences in splits.items() for sentence in sentences]
  found = counts.split_counts(items, "descriptions", _SENTENCES, _LISTED)
  return _annotations("localisation", items, splits, listed, found, notes)


def agreed(windows: tuple[Window, ...]) -> Window:
  """The window with the largest summed IoU with all of them, the first of equals."""

  def overlap(one: Window) -> float:
    return sum(max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
               / (max(one[1], other[1]) - min(one[0], other[0])) for other in windows)

  return max(windows, key=overlap)


def _read(
    directory: pathlib.Path,
) -> tuple[dict[str, list[_Sentence]], dict[str, list[str]], list[str]]:
  """Split -> its sentences, split -> its listed videos, notes."""
  found, notes = files.by_split(directory, {split: [f"{split}_data.json"] for split in _SPLITS})
  listed = lists.read_lists(directory, {split: f"{split}_list.txt" for split in found}, _stem)
  splits = {}
  lengths: dict[str, float] = {}
  for split, path in found.items():
    tally = Tally(path)
    sentences: dict[str, _Sentence] = {}
    for where, record in files.read_records(path):
      sentence = _read_sentence(record, where, tally)
      if lengths.setdefault(sentence.video, sentence.duration) != sentence.duration:
        tally.add("descriptions state another length than an earlier one of their video: kept, "
                  "with their own", sentence.name)
      files.add_new(sentences, sentence.name, sentence, f"{path}: annotation_id")
    splits[split] = _listed(path, split, list(sentences.values()), listed, notes)
    notes += tally.notes()
  return splits, listed, notes


def _read_sentence(record: dict[str, Any], where: str, tally: Tally) -> _Sentence:
  text = files.field(record, "description", str, where)
  name = files.check_id(record.get("video"), f"{where}: 'video'")
  chunks = files.field(record, "num_segments", int, where)
  if not 1 <= chunks <= MOST_CHUNKS:
    raise UserError(f"{where}: 'num_segments' is {chunks}, not one of 1 to {MOST_CHUNKS}: "
                    f"{files.MEND}")
  times = files.field(record, "times", list, where)
  if not times:
    raise UserError(f"{where}: 'times' is empty: {files.MEND}")
  windows = tuple(_window(span, chunks, f"{where}: 'times' {n}") for n, span in enumerate(times))
  return _Sentence(
      str(files.field(record, "annotation_id", int, where)), _stem(name, where), name,
      tally.text(text, f"{where}: 'description'", "descriptions"), windows, chunks * CHUNK)


def _listed(
    path: pathlib.Path,
    split: str,
    sentences: list[_Sentence],
    listed: dict[str, list[str]],
    notes: list[str],
) -> list[_Sentence]:
  """The sentences of listed videos; all where there is no list."""
  if split not in listed:
    notes.append(f"{split}_list.txt: not there: all videos of {path.name} are taken")
    taken = sentences
  else:
    wanted = set(listed[split])
    taken = [sentence for sentence in sentences if sentence.video in wanted]
    left = len(sentences) - len(taken)
    if left:
      notes.append(f"{path.name}: {left:,} descriptions are of videos that {split}_list.txt does "
                   "not list: left out")
    without = wanted - {sentence.video for sentence in taken}
    if without:
      notes.append(f"{split}_list.txt: {len(without):,} of {len(wanted):,} videos have no "
                   f"description in {path.name} ({', '.join(sorted(without)[:3])}, ...)")
  if not taken:
    raise UserError(f"{path}: split {split} has no description: check that the file and its list "
                    "belong together")
  return taken


def _annotations(
    task: str,
    items: list[TextItem],
    splits: dict[str, list[_Sentence]],
    listed: dict[str, list[str]],
    found: list[Count],
    notes: list[str],
) -> Annotations:
  """The media of both tasks are the same videos under the same names."""
  names: dict[str, dict[str, None]] = {
      video: {video: None} for videos in listed.values() for video in videos}
  for sentence in itertools.chain.from_iterable(splits.values()):
    names.setdefault(sentence.video, {sentence.video: None})[sentence.file] = None
  videos = tuple(Video(name, tuple(stems), max_duration=CHUNK * MOST_CHUNKS)
                 for name, stems in names.items())
  return Annotations("didemo", task, tuple(items), videos, tuple(found), tuple(notes))


def _stem(name: str, where: str) -> str:
  """"26292851@N04_4253489686_265c3c8051.m4v" without its extension, which may be empty."""
  return files.check_id(name.split(".")[0], where)


def _window(span: Any, chunks: int, where: str) -> Window:
  """Seconds of [first chunk, last chunk]."""
  if len(files.expect(span, list, where)) != 2:
    raise UserError(f"{where} are {files.short(span)}, not [first, last]: {files.MEND}")
  first, last = (files.expect(value, int, where) for value in span)
  if not 0 <= first <= last < chunks:
    raise UserError(f"{where} are {files.short(span)}, not chunks of 0 to {chunks - 1} in order: "
                    f"{files.MEND}")
  return first * CHUNK, (last + 1) * CHUNK
