"""The splits of MSR-VTT: what the videos say, and the csv files that other codebases ship."""

import pathlib

from mla_jax.data.annotations import files, lists, tables
from mla_jax.data.annotations.schema import TextItem
from mla_jax.errors import UserError

# The standard split, for videos that do not say theirs; split names as MSRVTT_data.json has them.
_STANDARD = {
    "train": "MSRVTT_train.full.csv",
    "validate": "MSRVTT_val.full.csv",
    "test": "MSRVTT_test.full.csv",
}
_LISTED = {"train_9k": "MSRVTT_train.9k.csv", "train_7k": "MSRVTT_train.7k.csv"}
TEST_1K_A = "test_1k_a"
_TEST_1K_A_FILE = "MSRVTT_JSFUSION_test.csv"
TRAIN_1K_B, TEST_1K_B = "train_1k_b", "test_1k_b"
_LISTED_1K_B = {TRAIN_1K_B: "train_list_miech.txt", TEST_1K_B: "test_list_miech.txt"}
CSV_SPLITS = (*_LISTED, TEST_1K_A, *_LISTED_1K_B)


def standard_splits(
    directory: pathlib.Path, videos: dict[str, str], notes: list[str]
) -> dict[str, str]:
  """The one split of every video; "" for those that only a csv split may hold.

  Args:
    directory: where the csv files may lie.
    videos: video -> the split it says, "" where it says none.
    notes: what was left out is added here.

  Raises:
    UserError: some videos say their split and some do not; none does and no csv does it for them;
      a malformed csv, or a video in two.
  """
  if all(videos.values()):
    return videos
  if any(videos.values()):
    name = next(name for name, split in videos.items() if not split)
    raise UserError(f"{directory}: video {name!r} has no 'split' while others do: add it")
  splits = dict(videos)
  for split, name in _STANDARD.items():
    for video in _listed(directory, name, videos, notes):
      if splits[video]:
        raise UserError(f"{directory / name}: video {video!r} is in {_STANDARD[splits[video]]} "
                        f"too: {files.MEND}")
      splits[video] = split
  if not any(splits.values()) and not any(
      files.find(directory, name)
      for name in (*_LISTED.values(), _TEST_1K_A_FILE, *_LISTED_1K_B.values())):
    raise UserError(f"{directory}: the videos have no 'split': add it, or put "
                    f"{', '.join(_STANDARD.values())} there")
  without = sum(not split for split in splits.values())
  if without and any(splits.values()):
    notes.append(f"{without:,} videos are in none of {', '.join(_STANDARD.values())}")
  return splits


def listed_splits(
    directory: pathlib.Path, videos: dict[str, str], notes: list[str]
) -> dict[str, list[str]]:
  """The videos of train_9k and train_7k, where their csv is there, and of 1k-B by its lists."""
  found = {split: _listed(directory, name, videos, notes) for split, name in _LISTED.items()}
  for split, listed in lists.read_lists(directory, _LISTED_1K_B).items():
    found[split] = _known(directory / _LISTED_1K_B[split], listed, videos, notes)
  return {split: listed for split, listed in found.items() if listed}


def read_test_1k_a(
    directory: pathlib.Path, videos: dict[str, str], notes: list[str]
) -> list[TextItem]:
  """The 1k-A test set, one fixed caption a video; nothing where its csv is not there."""
  path = files.find(directory, _TEST_1K_A_FILE)
  if path is None:
    return []
  items: dict[str, TextItem] = {}
  for where, row in tables.read_table(path, ["key", "video_id", "sentence"]):
    video = files.check_id(row["video_id"], where)
    item_id = files.check_id(f"{TEST_1K_A}@{row['key']}", where)
    text = files.clean_text(row["sentence"], f"{where}: 'sentence'")
    files.add_new(items, video, TextItem(item_id, video, TEST_1K_A, text), f"{where}: video")
  return [items[video] for video in _known(path, list(items), videos, notes)]


def _listed(
    directory: pathlib.Path, name: str, videos: dict[str, str], notes: list[str]
) -> list[str]:
  """The known videos of a one-column csv; none where there is no such file."""
  path = files.find(directory, name)
  if path is None:
    return []
  listed: dict[str, None] = {}
  for where, row in tables.read_table(path, ["video_id"]):
    files.add_new(listed, files.check_id(row["video_id"], where), None, f"{where}: video")
  return _known(path, list(listed), videos, notes)


def _known(
    path: pathlib.Path, listed: list[str], videos: dict[str, str], notes: list[str]
) -> list[str]:
  known = [video for video in listed if video in videos]
  if not known:
    raise UserError(f"{path}: none of its {len(listed):,} videos is in MSRVTT_data.json, so its "
                    "split has no example: take the file out or complete the data")
  if len(known) < len(listed):
    notes.append(f"{path.name}: {len(listed) - len(known):,} of {len(listed):,} videos are not in "
                 "MSRVTT_data.json: left out")
  return known
