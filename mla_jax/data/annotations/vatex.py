"""VATEX: ten English captions a video, for retrieval."""

import pathlib
from typing import Any

from mla_jax.data.annotations import cuts, files, lists
from mla_jax.data.annotations.schema import Annotations, Count
from mla_jax.errors import UserError

_DATA = "vatex_data.json"
_CAPTIONS = "enCap"
_LISTS = {  # HGR's split; the second list of test videos is another 1,500.
    "train": "train_list.txt",
    "val": "val_list.txt",
    "test": "test_list.txt",
    "test_1k5_sec": "test1k5_sec_list.txt",
}
_RELEASED = {  # The dataset's own files.
    "train": "vatex_training_v1.0.json",
    "val": "vatex_validation_v1.0.json",
    "test": "vatex_public_test_english_v1.1.json",
}
_OFFICIAL: dict[str, tuple[int | None, int | None]] = {  # Videos and captions.
    "train": (25991, 259910), "val": (1500, 15000), "test": (1500, 15000),
    "test_1k5_sec": (1500, 15000)}
_RELEASED_OFFICIAL: dict[str, tuple[int | None, int | None]] = {
    "train": (25991, 259910), "val": (3000, 30000), "test": (6000, 60000)}


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """Every English caption is a text of its own.

  Captions: `vatex_data.json`, `{video: {"enCap": [...]}}`, with the lists of videos
  `{train,val,test}_list.txt` (HGR's split) and `test1k5_sec_list.txt`, another list of 1,500 test
  videos, which is split "test_1k5_sec". Or, where there is no such file, the dataset's own
  `vatex_training_v1.0.json`, `vatex_validation_v1.0.json` and
  `vatex_public_test_english_v1.1.json`: lists of `{"videoID", "enCap"}`.

  Raises:
    UserError: no file, a malformed entry, an empty caption, a video twice, a list without captions.
  """
  path = files.find(directory, _DATA)
  if path is None:
    return _read_released(directory)
  listed = lists.require_lists(directory, _LISTS, disjoint=False)
  captions = {
      files.check_id(name, str(path)):
          files.field(files.expect(record, dict, f"{path}: {name}"), _CAPTIONS, list,
                      f"{path}: {files.short(name)}")
      for name, record in files.read_json(path, dict).items()}
  found = lists.listed_captions(path, captions, listed, _OFFICIAL)
  notes = [f"{_LISTS[split]}: not there: no split {split}"
           for split in ("train", "val", "test") if split not in listed]
  second = set(listed.get("test_1k5_sec", ()))
  for split in ("val", "test"):
    shared = len(second & set(listed.get(split, ())))
    if shared:
      notes.append(f"test_1k5_sec shares {shared:,} videos with {split}: say which list a result "
                   "is of, and choose nothing on the other")
  return _annotations(found, listed, notes)


def _read_released(directory: pathlib.Path) -> Annotations:
  paths = {split: path for split, name in _RELEASED.items()
           if (path := files.find(directory, name))}
  if not paths:
    raise UserError(f"{directory}: has neither {_DATA} nor {', '.join(_RELEASED.values())}: "
                    "put the dataset's files there")
  notes = [f"{name}: not there: no split {split}"
           for split, name in _RELEASED.items() if split not in paths]
  found = lists.Captions([], [], [])
  listed: dict[str, list[str]] = {}
  for split, path in paths.items():
    captions: dict[str, list[Any]] = {}
    for where, record in files.read_records(path):
      name = files.check_id(record.get("videoID"), where)
      files.add_new(
          captions, name, files.field(record, _CAPTIONS, list, where), f"{where}: video")
    listed[split] = list(captions)
    part = lists.listed_captions(path, captions, {split: list(captions)}, _RELEASED_OFFICIAL)
    found.items.extend(part.items)
    found.counts.extend(part.counts)
    found.notes.extend(part.notes)
  return _annotations(found, listed, notes)


def _annotations(
    found: lists.Captions, listed: dict[str, list[str]], notes: list[str]
) -> Annotations:
  names = dict.fromkeys(name for videos in listed.values() for name in videos)
  counts = (Count("videos", len(names), None), *found.counts)
  return Annotations(
      "vatex", "retrieval", tuple(found.items), tuple(map(cuts.cut_video, names)), counts,
      (*notes, *found.notes))
