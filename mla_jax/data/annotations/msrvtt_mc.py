"""MSRVTT-MC: which of five captions is the video's."""

import pathlib
from typing import Any

from mla_jax.data.annotations import counts, files, multiple_choice, tables
from mla_jax.data.annotations.schema import Annotations, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_NAMES = ("MSR_MC_test.csv", "msrvtt_retrieval_mc_test.jsonl", "msrvtt_mc_test.json",
          "msrvtt_mc_test.jsonl", "MSRVTT_MC_test.csv", "msrvtt_mc_test.csv")
_COLUMNS = ("a1", "a2", "a3", "a4", "a5")
_OFFICIAL = 2990


def read_mc(directory: pathlib.Path) -> Annotations:
  """Reads the first file that is there of

  - `MSR_MC_test.csv` (JSFusion, MMPT): columns separated by tabs, `vid_key,a1,...,a5,answer`, video
    "msr7010" or "video7010";
  - `msrvtt_retrieval_mc_test.jsonl` (ClipBERT): `{"clip_name", "options": [five], "answer"}`;
  - `msrvtt_mc_test.json` (Singularity): a list of `{"video", "caption": [five], "answer"}`.

  `answer` is an index from 0. There is no question: a text is its candidates alone. There is no
  training split: models are trained on captions.

  Raises:
    UserError: no file, a malformed row, an empty caption, an answer out of range, a video twice.
  """
  path = files.find_any(directory, _NAMES)
  if path is None:
    raise UserError(f"{directory}: has none of {', '.join(_NAMES[:3])} (or .gz): put the dataset's "
                    "file there")
  tally = Tally(path)
  read = _read_table if path.name.removesuffix(".gz").endswith(".csv") else _read_json
  items: dict[str, TextItem] = {}
  for where, video, record, answer in read(path):
    candidates = multiple_choice.read_candidates(record, _COLUMNS, where, tally)
    index = multiple_choice.check_index(answer, candidates, f"{where}: 'answer'")
    item = TextItem(f"test@{video}", video, "test", "", **multiple_choice.choice(candidates, index))
    files.add_new(items, video, item, f"{where}: video")
  if not items:
    raise UserError(f"{path}: has no question: {files.MEND}")
  videos = tuple(Video(name, (name,)) for name in items)
  found = counts.split_counts(
      list(items.values()), "questions", {"test": _OFFICIAL}, {"test": _OFFICIAL})
  return Annotations(
      "msrvtt", "mc", tuple(items.values()), videos, tuple(found), tally.notes(),
      leakage="the videos are MSR-VTT's 2,990 test videos: train_9k holds 1,990 of them, train_7k "
      "none")


def _read_table(path: pathlib.Path) -> list[tuple[str, str, dict[str, Any], int]]:
  """Place, video, candidates and answer of each row."""
  return [
      (where, _video(row["vid_key"], where), dict(row),
       tables.parse_int(row["answer"], f"{where}: 'answer'"))
      for where, row in tables.read_table(path, ["vid_key", *_COLUMNS, "answer"], "\t")]


def _read_json(path: pathlib.Path) -> list[tuple[str, str, dict[str, Any], Any]]:
  rows = []
  for where, record in files.read_records(path):
    key = "options" if "options" in record else "caption"
    options = files.field(record, key, list, where)
    if len(options) != len(_COLUMNS):
      raise UserError(f"{where}: {len(options)} captions, not {len(_COLUMNS)}: {files.MEND}")
    video = _video(record.get("clip_name", record.get("video")), where)
    rows.append((where, video, dict(zip(_COLUMNS, options, strict=True)), record.get("answer")))
  return rows


def _video(value: Any, where: str) -> str:
  name = files.check_id(value, f"{where}: the video").removesuffix(".mp4")
  return f"video{name[3:]}" if name.startswith("msr") and name[3:].isdecimal() else name
