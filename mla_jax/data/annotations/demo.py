"""The files that `mla_jax.data.demo.write` writes: captions, questions, timed sentences."""

import dataclasses
import pathlib

from mla_jax.data.annotations import files, timed_captions
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.data.demo.write import CAPTIONS, QUESTIONS
from mla_jax.errors import UserError

_FAMILY = "demo"


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """Captions: `{"videos": [{"video_id", "split"}], "captions": [{"id", "video_id", "caption"}]}`.

  Raises:
    UserError: a file that is missing or malformed, an id twice, an unknown video, an empty text.
  """
  path = files.require(directory, CAPTIONS)
  splits = _splits(path)
  items = []
  captions = files.field(files.read_json(path, dict), "captions", list, str(path))
  for number, record in enumerate(captions):
    where = f"{path}: caption {number}"
    record = files.expect(record, dict, where)
    text = files.clean_text(files.field(record, "caption", str, where), f"{where}: 'caption'")
    name = f"caption@{files.field(record, 'id', int, where)}"
    video = _known(record, splits, where)
    items.append(TextItem(name, video, splits[video], text))
  return _annotations("retrieval", "captions", items, splits, path)


def read_qa(directory: pathlib.Path) -> Annotations:
  """Questions: `[{"id", "video_id", "question", "answer", "type"}]`; splits from the captions.

  Raises:
    UserError: as `read_retrieval`.
  """
  path = files.require(directory, QUESTIONS)
  splits = _splits(files.require(directory, CAPTIONS))
  items = []
  for number, record in enumerate(files.read_json(path, list)):
    where = f"{path}: question {number}"
    record = files.expect(record, dict, where)
    question, answer, kind = (
        files.clean_text(files.field(record, key, str, where), f"{where}: {key!r}")
        for key in ("question", "answer", "type"))
    name = f"question@{files.field(record, 'id', int, where)}"
    video = _known(record, splits, where)
    items.append(TextItem(
        name, video, splits[video], question, answer=answer, question_type=kind))
  return _annotations("qa", "questions", items, splits, path)


def read_timed_captions(directory: pathlib.Path) -> Annotations:
  """Timed sentences: `segments.json` in ActivityNet's layout; splits from the captions.

  Raises:
    UserError: as `read_retrieval`, and of `timed_captions.read_timed_captions`.
  """
  path = files.require(directory, CAPTIONS)
  splits = _splits(path)
  timed = timed_captions.read_timed_captions(directory)
  items = []
  for item in timed.items:
    video = _known({"video_id": item.video_id}, splits, str(directory))
    items.append(dataclasses.replace(
        item, item_id=f"{video}@{splits[video]}", split=splits[video]))
  found = _annotations("timed_captions", "paragraphs", items, splits, path)
  return dataclasses.replace(found, notes=timed.notes)


def _splits(path: pathlib.Path) -> dict[str, str]:
  """Video id -> split, in the order of the file."""
  splits: dict[str, str] = {}
  videos = files.field(files.read_json(path, dict), "videos", list, str(path))
  for number, record in enumerate(videos):
    where = f"{path}: video {number}"
    record = files.expect(record, dict, where)
    video = files.check_id(files.field(record, "video_id", str, where), where)
    split = files.check_id(files.field(record, "split", str, where), f"{where}: 'split'")
    files.add_new(splits, video, split, f"{path}: video")
  return splits


def _known(record: dict[str, str], splits: dict[str, str], where: str) -> str:
  video = files.field(record, "video_id", str, where)
  if video not in splits:
    raise UserError(
        f"{where}: video {files.short(video)} is not listed in {CAPTIONS}: {files.MEND}")
  return video


def _annotations(
    task: str, what: str, items: list[TextItem], splits: dict[str, str], path: pathlib.Path
) -> Annotations:
  """Checks that every split has texts, and counts."""
  counts = [Count("videos", len(splits), None)]
  for split in dict.fromkeys(splits.values()):
    found = sum(item.split == split for item in items)
    if not found:
      raise UserError(f"{path}: split {split} has no {what}: {files.MEND}")
    counts.append(Count(f"{split} {what}", found, None))
  videos = tuple(Video(video, (video,)) for video in splits)
  return Annotations(
      _FAMILY, task, tuple(items), videos, tuple(counts), licence="made by mla_jax: Apache-2.0")
