"""MSR-VTT: captions for retrieval (MSRVTT_data.json and the usual csv splits) and MSRVTT-QA."""

from collections import Counter
import dataclasses
import pathlib
import re
from typing import Any

from mla_jax.data.annotations import files, open_ended_qa
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.errors import UserError

DATA = "MSRVTT_data.json"
# The standard split, for copies of DATA whose videos do not say theirs. Named as DATA names them.
_FULL = {"train": "MSRVTT_train.full.csv", "validate": "MSRVTT_val.full.csv",
         "test": "MSRVTT_test.full.csv"}
_EXTRA = {"train_9k": "MSRVTT_train.9k.csv", "train_7k": "MSRVTT_train.7k.csv"}
_TEST_1K_A = "MSRVTT_JSFUSION_test.csv"

_OFFICIAL_VIDEOS = {"train": 6513, "validate": 497, "test": 2990, "train_9k": 9000,
                    "train_7k": 7010, "test_1k_a": 1000}
_OFFICIAL_CAPTIONS = {"train": 130260, "validate": 9940, "test": 59800, "train_9k": 180000,
                      "train_7k": 140200, "test_1k_a": 1000}
_OFFICIAL_QA = open_ended_qa.Official(
    questions={"train": 158581, "val": 12278, "test": 72821},
    videos={"train": 6513, "val": 497, "test": 2990},
    types={"what": 49869, "who": 20385, "how": 1640, "when": 677, "where": 250},
)


@dataclasses.dataclass(frozen=True)
class _Caption:
  item_id: str
  video: str
  text: str


def read_qa(directory: pathlib.Path) -> Annotations:
  """MSRVTT-QA: `{train,val,test}_qa.json`; the number N in `video_id` means "videoN".

  Raises:
    UserError: see `open_ended_qa.read_questions`.
  """
  questions = open_ended_qa.read_questions(directory, _qa_video_name, _OFFICIAL_QA)
  names = dict.fromkeys(item.video_id for item in questions.items)
  videos = tuple(Video(name, (name,)) for name in names)
  counts = (Count("videos", len(videos), 10000), *questions.counts)
  return Annotations("msrvtt", "qa", questions.items, videos, counts, questions.notes)


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """MSR-VTT captions, each a text of its own, with the splits of `MSRVTT_data.json`.

  `{"videos": [{"video_id", "split"}], "sentences": [{"video_id", "caption", "sen_id"}]}`; other keys
  are ignored, `sen_id` may be missing. Videos without "split" get train, validate or test from
  `MSRVTT_{train,val,test}.full.csv` beside it. Further splits come from csv files found there:
  train_9k and train_7k (all captions of the listed videos) and test_1k_a (`MSRVTT_JSFUSION_test.csv`:
  1,000 videos with the one caption that the file fixes). A split may have videos and no caption.

  Raises:
    UserError: a missing or malformed file, duplicate or unknown ids, an empty caption, videos in no
      split, a csv none of whose videos is in `MSRVTT_data.json`.
  """
  path = files.require(directory, DATA)
  data = files.read_json(path, dict)
  videos = _read_videos(path, data)
  captions, stripped = _read_captions(path, data, videos)
  notes = list(files.stripped_note(path, "captions", stripped))
  members, membership_notes = _members(directory, path, videos)
  notes += membership_notes
  items = [
      TextItem(caption.item_id, caption.video, videos_split, caption.text)
      for caption in captions for videos_split in (members[caption.video],) if videos_split
  ]
  sizes = Counter(split for split in members.values() if split)
  by_video: dict[str, list[_Caption]] = {}
  for caption in captions:
    by_video.setdefault(caption.video, []).append(caption)
  for split, name in _EXTRA.items():
    listed, note = _listed(directory, name, videos)
    notes += note
    sizes[split] += len(listed)
    items += [TextItem(f"{split}@{caption.item_id}", video, split, caption.text)
              for video in listed for caption in by_video.get(video, ())]
  fixed, note = _read_test_1k_a(directory, videos)
  notes += note
  sizes["test_1k_a"] += len(fixed)
  items += fixed
  return Annotations(
      "msrvtt", "retrieval", tuple(items), tuple(Video(name, (name,)) for name in videos),
      tuple(_counts(videos, captions, sizes, items)),
      (*notes, *_captionless_notes(sizes, items), *_leak_notes(items)))


def video_splits(directory: pathlib.Path) -> dict[str, str]:
  """The split of every video of `MSRVTT_data.json` ("" where it is in none of the standard ones)."""
  path = files.require(directory, DATA)
  return _members(directory, path, _read_videos(path, files.read_json(path, dict)))[0]


def _qa_video_name(value: Any, where: str) -> str:
  if isinstance(value, str):
    return files.check_id(value, where)
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
    name = files.check_id(record.get("video_id"), where)
    if name in videos:
      raise UserError(f"{where}: video {name!r} is there twice: take one out")
    split = record.get("split")
    videos[name] = "" if split is None else _split_name(split, where)
  if not videos:
    raise UserError(f"{path}: 'videos' is empty: {files.MEND}")
  return videos


def _split_name(value: Any, where: str) -> str:
  split = files.clean_text(value, f"{where}: 'split'")
  if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]{0,60}", split):
    raise UserError(f"{where}: split {files.short(split)} is not a usable name: use letters, "
                    "digits and _")
  if split in _EXTRA or split == "test_1k_a":
    raise UserError(f"{where}: split {split!r} is the name of a csv's split: use another")
  return split


def _read_captions(
    path: pathlib.Path, data: dict[str, Any], videos: dict[str, str]
) -> tuple[list[_Caption], int]:
  """Every sentence, and how many had blanks around them."""
  captions: list[_Caption] = []
  seen: set[str] = set()
  stripped = 0
  for number, record in enumerate(files.field(data, "sentences", list, str(path))):
    where = f"{path}: sentences[{number}]"
    record = files.expect(record, dict, where)
    video = files.check_id(record.get("video_id"), where)
    if video not in videos:
      raise UserError(f"{where}: video {video!r} is not among 'videos': {files.MEND}")
    name = record.get("sen_id", number)
    if isinstance(name, bool) or not isinstance(name, (int, str)):
      raise UserError(f"{where}: 'sen_id' is {files.short(name)}, not a number: {files.MEND}")
    item_id = files.check_id(f"{video}@{name}", where)
    files.add_new(seen, item_id, "caption", where)
    caption = files.field(record, "caption", str, where)
    text = files.clean_text(caption, f"{where}: 'caption'")
    stripped += text != caption
    captions.append(_Caption(item_id, video, text))
  if not captions:
    raise UserError(f"{path}: 'sentences' is empty: {files.MEND}")
  return captions, stripped


def _members(
    directory: pathlib.Path, path: pathlib.Path, videos: dict[str, str]
) -> tuple[dict[str, str], list[str]]:
  """Video -> its one standard split, and notes; "" for videos that only csv splits may hold."""
  if all(videos.values()):
    return videos, []
  if any(videos.values()):
    name = next(name for name, split in videos.items() if not split)
    raise UserError(f"{path}: video {name!r} has no 'split' while others do: add it")
  members = dict(videos)
  found = False
  notes: list[str] = []
  for split, name in _FULL.items():
    listed, note = _listed(directory, name, videos)
    notes += note
    found |= bool(listed)
    for video in listed:
      if members[video]:
        raise UserError(f"{directory / name}: video {video!r} is in {_FULL[members[video]]} too: "
                        f"{files.MEND}")
      members[video] = split
  csvs = (*_EXTRA.values(), _TEST_1K_A)
  if not found and not any(files.find(directory, name) for name in csvs):
    raise UserError(f"{path}: its videos have no 'split': add it, or put {', '.join(_FULL.values())} "
                    "beside it")
  if found and not all(members.values()):
    without = sum(not split for split in members.values())
    notes.append(f"{without:,} videos are in none of {', '.join(_FULL.values())}")
  return members, notes


def _listed(
    directory: pathlib.Path, name: str, videos: dict[str, str]
) -> tuple[list[str], list[str]]:
  """The videos of a one-column csv that `MSRVTT_data.json` has; none where there is no such csv."""
  path = files.find(directory, name)
  if path is None:
    return [], []
  seen: set[str] = set()
  for number, row in enumerate(files.read_csv(path, ["video_id"]), 2):
    where = f"{path}: row {number}"
    files.add_new(seen, files.check_id(row["video_id"], where), "video", where)
  return _known(path, list(dict.fromkeys(sorted(seen))), videos)


def _known(
    path: pathlib.Path, listed: list[str], videos: dict[str, str]
) -> tuple[list[str], list[str]]:
  known = [video for video in listed if video in videos]
  if not known:
    raise UserError(f"{path}: none of its {len(listed):,} videos is in {DATA}, so its split has no "
                    "example: take the file out or complete the data")
  missing = len(listed) - len(known)
  note = f"{path.name}: {missing:,} of {len(listed):,} videos are not in {DATA}: left out"
  return known, [note] if missing else []


def _read_test_1k_a(
    directory: pathlib.Path, videos: dict[str, str]
) -> tuple[list[TextItem], list[str]]:
  path = files.find(directory, _TEST_1K_A)
  if path is None:
    return [], []
  items: list[TextItem] = []
  seen: set[str] = set()
  for number, row in enumerate(files.read_csv(path, ["key", "video_id", "sentence"]), 2):
    where = f"{path}: row {number}"
    video = files.check_id(row["video_id"], where)
    files.add_new(seen, video, "video", where)
    item_id = files.check_id(f"test_1k_a@{row['key']}", where)
    text = files.clean_text(row["sentence"], f"{where}: 'sentence'")
    items.append(TextItem(item_id, video, "test_1k_a", text))
  _, notes = _known(path, list(seen), videos)
  return [item for item in items if item.video_id in videos], notes


def _counts(
    videos: dict[str, str], captions: list[_Caption], sizes: Counter[str], items: list[TextItem]
) -> list[Count]:
  texts = Counter(item.split for item in items)
  counts = [Count("videos", len(videos), 10000), Count("captions", len(captions), 200000)]
  for split, size in sizes.items():
    if size:
      counts += [Count(f"{split} videos", size, _OFFICIAL_VIDEOS.get(split)),
                 Count(f"{split} captions", texts[split], _OFFICIAL_CAPTIONS.get(split))]
  return counts


def _captionless_notes(sizes: Counter[str], items: list[TextItem]) -> list[str]:
  texts: dict[str, set[str]] = {}
  for item in items:
    texts.setdefault(item.split, set()).add(item.video_id)
  notes = []
  for split, size in sizes.items():
    without = size - len(texts.get(split, ()))
    if without:
      notes.append(f"{split}: {without:,} of {size:,} videos have no caption")
  return notes


def _leak_notes(items: list[TextItem]) -> list[str]:
  """Says which training splits hold videos of other splits: 1k-A's 9k holds 1,990 test videos."""
  videos: dict[str, set[str]] = {}
  for item in items:
    videos.setdefault(item.split, set()).add(item.video_id)
  return [
      f"{train} shares {len(shared):,} videos with {other}: never train on it to be evaluated there"
      for train in videos if train.startswith("train")
      for other in videos if not other.startswith("train")
      if (shared := videos[train] & videos[other])
  ]
