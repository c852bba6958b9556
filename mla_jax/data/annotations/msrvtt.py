"""MSR-VTT: captions for retrieval (MSRVTT_data.json) and MSRVTT-QA."""

import pathlib
import re
from typing import Any

from mla_jax.data.annotations import files, msrvtt_splits, open_ended_qa
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

DATA = "MSRVTT_data.json"
_OFFICIAL_VIDEOS = 10000
_OFFICIAL_CAPTIONS = 200000
_OFFICIAL_SPLITS = {  # Videos and captions.
    "train": (6513, 130260),
    "validate": (497, 9940),
    "test": (2990, 59800),
    "train_9k": (9000, 180000),
    "train_7k": (7010, 140200),
    "test_1k_a": (1000, 1000),
    "train_1k_b": (6656, 133120),
    "test_1k_b": (1000, 1000),
}
_CAPTIONS = {msrvtt_splits.TEST_1K_B: 1}  # It is evaluated on the first caption of each video.
_OFFICIAL_QA = open_ended_qa.Official(
    questions={"train": 158581, "val": 12278, "test": 72821},
    videos={"train": 6513, "val": 497, "test": 2990},
    types={"what": 49869, "who": 20385, "how": 1640, "when": 677, "where": 250},
)


def read_qa(directory: pathlib.Path) -> Annotations:
  """MSRVTT-QA: `{train,val,test}_qa.json`; the number N in `video_id` means "videoN".

  Raises:
    UserError: see `open_ended_qa.read_questions`.
  """
  questions = open_ended_qa.read_questions(directory, _qa_video, _OFFICIAL_QA)
  names = dict.fromkeys(item.video_id for item in questions.items)
  videos = tuple(Video(name, (name,)) for name in names)
  counts = (Count("videos", len(videos), _OFFICIAL_VIDEOS), *questions.counts)
  return Annotations(
      "msrvtt", "qa", questions.items, videos, counts, questions.notes,
      leakage="train_9k of msrvtt_retrieval holds 1,990 of the 2,990 test videos, train_7k none: "
      "do not start from a checkpoint of train_9k")


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """MSR-VTT captions, each a text of its own, with the splits of `MSRVTT_data.json`.

  `{"videos": [{"video_id", "split"}], "sentences": [{"video_id", "caption", "sen_id"}]}`; other
  keys are ignored, `sen_id` may be missing. Videos without "split" get train, validate or test
  from `MSRVTT_{train,val,test}.full.csv` beside it. Further splits come from csv files there:
  train_9k and train_7k (all captions of the listed videos) and test_1k_a (1,000 videos with the one
  caption that `MSRVTT_JSFUSION_test.csv` fixes); and from the lists
  `{train,test}_list_miech.txt`: train_1k_b and test_1k_b (1,000 videos, the first caption of each).
  A split may have videos and no caption; a note says which.

  Raises:
    UserError: a missing or malformed file, duplicate or unknown ids, an empty caption, videos in no
      split, a csv none of whose videos is in `MSRVTT_data.json`.
  """
  path = files.require(directory, DATA)
  data = files.read_json(path, dict)
  videos = _read_videos(path, data)
  notes: list[str] = []
  captions = _read_captions(path, data, videos, notes)
  splits = msrvtt_splits.standard_splits(directory, videos, notes)
  members = {split: [video for video in splits if splits[video] == split]
             for split in dict.fromkeys(splits.values()) if split}
  more = msrvtt_splits.listed_splits(directory, videos, notes)
  items = [*_texts(members, captions), *_texts(more, captions, named=True)]
  fixed = msrvtt_splits.read_test_1k_a(directory, videos, notes)
  items += fixed
  members |= more
  if fixed:
    members[msrvtt_splits.TEST_1K_A] = [item.video_id for item in fixed]
  notes += _captionless_notes(members, items)
  counts = [
      Count("videos", len(videos), _OFFICIAL_VIDEOS),
      Count("captions", sum(map(len, captions.values())), _OFFICIAL_CAPTIONS),
      *_split_counts(members, items),
  ]
  listed_videos = tuple(Video(name, (name,)) for name in videos)
  return Annotations(
      "msrvtt", "retrieval", tuple(items), listed_videos, tuple(counts), tuple(notes))


def _texts(
    listed: dict[str, list[str]], captions: dict[str, list[tuple[str, str]]], *, named: bool = False
) -> list[TextItem]:
  """The captions of the videos of each split; `named`: the split stands in front of their ids."""
  return [TextItem(f"{split}@{name}" if named else name, video, split, text)
          for split, videos in listed.items()
          for video in videos
          for name, text in captions.get(video, [])[:_CAPTIONS.get(split)]]


def video_splits(directory: pathlib.Path) -> dict[str, str]:
  """The split of every video of `MSRVTT_data.json`, "" where only csv splits may hold it."""
  path = files.require(directory, DATA)
  videos = _read_videos(path, files.read_json(path, dict))
  return msrvtt_splits.standard_splits(directory, videos, [])


def _qa_video(value: Any, where: str) -> str:
  if isinstance(value, str):
    return files.check_id(value.removesuffix(".mp4"), where)
  number = files.expect(value, int, where)
  if not 0 <= number < 10**9:
    raise UserError(f"{where} is {files.short(number)}, not a video's number: {files.MEND}")
  return f"video{number}"


def _read_videos(path: pathlib.Path, data: dict[str, Any]) -> dict[str, str]:
  """Video id -> its "split" ("" where it has none)."""
  videos: dict[str, str] = {}
  for number, record in enumerate(files.field(data, "videos", list, str(path))):
    where = f"{path}: videos[{number}]"
    record = files.expect(record, dict, where)
    split = record.get("split")
    name = files.check_id(record.get("video_id"), where)
    said = "" if split is None else _split_name(split, where)
    files.add_new(videos, name, said, f"{where}: video")
  if not videos:
    raise UserError(f"{path}: 'videos' is empty: {files.MEND}")
  return videos


def _split_name(value: Any, where: str) -> str:
  split = files.clean_text(value, f"{where}: 'split'")
  if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]{0,60}", split):
    raise UserError(f"{where}: split {files.short(split)} is not a usable name: use letters, "
                    "digits and _")
  if split in msrvtt_splits.CSV_SPLITS:
    raise UserError(f"{where}: split {split!r} is the name of a csv's split: use another")
  return split


def _read_captions(
    path: pathlib.Path, data: dict[str, Any], videos: dict[str, str], notes: list[str]
) -> dict[str, list[tuple[str, str]]]:
  """Video -> (caption id, caption) of each of its captions, in the order of the file."""
  captions: dict[str, list[tuple[str, str]]] = {}
  seen: dict[str, None] = {}
  tally = Tally(path)
  for number, record in enumerate(files.field(data, "sentences", list, str(path))):
    where = f"{path}: sentences[{number}]"
    record = files.expect(record, dict, where)
    video = files.check_id(record.get("video_id"), where)
    if video not in videos:
      raise UserError(f"{where}: video {video!r} is not among 'videos': {files.MEND}")
    sen_id = record.get("sen_id", number)
    if isinstance(sen_id, bool) or not isinstance(sen_id, (int, str)):
      raise UserError(f"{where}: 'sen_id' is {files.short(sen_id)}, not a number: {files.MEND}")
    name = files.check_id(f"{video}@{sen_id}", where)
    files.add_new(seen, name, None, f"{where}: caption")
    caption = files.field(record, "caption", str, where)
    text = tally.text(caption, f"{where}: 'caption'", "captions")
    captions.setdefault(video, []).append((name, text))
  if not captions:
    raise UserError(f"{path}: 'sentences' is empty: {files.MEND}")
  notes += tally.notes()
  return captions


def _split_counts(members: dict[str, list[str]], items: list[TextItem]) -> list[Count]:
  counts: list[Count] = []
  for split, listed in members.items():
    videos, captions = _OFFICIAL_SPLITS.get(split, (None, None))
    found = sum(item.split == split for item in items)
    counts += [Count(f"{split} videos", len(listed), videos),
               Count(f"{split} captions", found, captions)]
  return counts


def _captionless_notes(members: dict[str, list[str]], items: list[TextItem]) -> list[str]:
  captioned = {item.video_id for item in items}
  notes = []
  for split, listed in members.items():
    without = sum(video not in captioned for video in listed)
    if without:
      notes.append(f"{split}: {without:,} of {len(listed):,} videos have no caption")
  return notes
