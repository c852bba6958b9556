"""TVQA and TVQA+: five candidates, subtitles, and the moment a question is about."""

import math
import pathlib
import re
from typing import Any

from mla_jax.data.annotations import counts, files, moments, multiple_choice, subtitles, tables
from mla_jax.data.annotations.open_ended_qa import TYPES, question_type
from mla_jax.data.annotations.schema import Annotations, Subtitle, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_CANDIDATES = ("a0", "a1", "a2", "a3", "a4")
_SUBTITLES = ("tvqa_preprocessed_subtitles.jsonl", "tv_subtitles.jsonl", "tvqa_subtitles.jsonl")
_NAMES = {  # test_release is VALUE's, test_public a half of it.
    split: [f"tvqa_{split}.jsonl", f"tvqa_{split}.json"]
    for split in ("train", "val", "test_public", "test_release")}
_PLUS_NAMES = {
    "train": ["tvqa_plus_train.json", "tvqa_plus_train_preprocessed.json"],
    "val": ["tvqa_plus_val.json", "tvqa_plus_valid.json", "tvqa_plus_valid_preprocessed.json"],
    "test": ["tvqa_plus_test.json", "tvqa_plus_test_public.json",
             "tvqa_plus_test_preprocessed_no_anno.json"],
}
_PLUS_SUBTITLES = ("tvqa_plus_subtitles.json", *_SUBTITLES)
_QUESTIONS: dict[str, int | None] = {
    "train": 122039, "val": 15253, "test_public": 7623, "test_release": 15253}
_PLUS_QUESTIONS: dict[str, int | None] = {"train": 23545, "val": 3017, "test": 2821}
_LICENCE = "video frames under a form to be signed: see the site of the dataset"


def read_tvqa(directory: pathlib.Path) -> Annotations:
  """TVQA: `tvqa_{train,val,test_public,test_release}.jsonl`, and the subtitles of the clips.

  A question is `{"a0", ..., "a4", "answer_idx", "q", "qid", "ts": "48.62-60.02", "vid_name"}`;
  `answer_idx` is a number from 0, test files have none. `ts` may be "nan-nan", and test files may
  have none.

  Subtitles: see `subtitles.read_subtitles`. Without their file the questions have none, and a note
  says so.

  Raises:
    UserError: no file, a malformed, duplicate or empty entry, an answer out of range, subtitles
      that are of none of the clips.
  """
  return _read(directory, "qa", _NAMES, _QUESTIONS, _SUBTITLES, as_text=False)


def read_tvqa_plus(directory: pathlib.Path) -> Annotations:
  """TVQA+: `tvqa_plus_{train,val,test}.json`, lists of the same entries with other types.

  The names of the preprocessed release do too. `answer_idx` is a text, `ts` a list `[0.0, 5.4]`;
  `bbox` is not read. Subtitles are those of `tvqa_plus_subtitles.json`, or without it TVQA's.
  Errors: see `read_tvqa`.
  """
  return _read(directory, "qa_plus", _PLUS_NAMES, _PLUS_QUESTIONS, _PLUS_SUBTITLES, as_text=True)


def read_times(value: Any, where: str) -> tuple[float, float] | None:
  """"start-end" or `[start, end]` in seconds; None where both are NaN."""
  times = value
  if isinstance(value, str):
    match = re.fullmatch(r"\s*(nan|[0-9.]+)\s*-\s*(nan|[0-9.]+)\s*", value, re.IGNORECASE)
    if match is None:
      raise UserError(f"{where} is {files.short(value)}, not 'start-end': {files.MEND}")
    times = [math.nan if text.lower() == "nan" else tables.parse_seconds(text, where)
             for text in match.groups()]
  unknown = [isinstance(time, float) and math.isnan(time)
             for time in files.expect(times, list, where)]
  if len(unknown) == 2 and all(unknown):
    return None
  if any(unknown):
    raise UserError(f"{where} is {files.short(value)}, half of it unknown: {files.MEND}")
  return moments.read_window(times, where)


def _read(
    directory: pathlib.Path,
    task: str,
    names: dict[str, list[str]],
    official: dict[str, int | None],
    subtitle_names: tuple[str, ...],
    *,
    as_text: bool,
) -> Annotations:
  found, notes = files.by_split(directory, names)
  spoken, more = subtitles.read_subtitles(directory, subtitle_names)
  notes += more
  items: list[TextItem] = []
  for split, path in found.items():
    tally = Tally(path)
    items += _read_file(path, split, spoken, tally, as_text=as_text)
    notes += tally.notes()
  names_found = dict.fromkeys(item.video_id for item in items)
  notes += subtitles.check_spoken(directory, spoken, names_found, subtitle_names)
  videos = tuple(Video(name, (name, f"{_show(name)}_frames/{name}")) for name in names_found)
  return Annotations(
      "tvqa", task, tuple(items), videos,
      tuple(counts.split_counts(items, "questions", official, {})), tuple(notes),
      licence=_LICENCE)


def _read_file(
    path: pathlib.Path,
    split: str,
    spoken: dict[str, tuple[Subtitle, ...]],
    tally: Tally,
    *,
    as_text: bool,
) -> list[TextItem]:
  items: dict[str, TextItem] = {}
  for where, record in files.read_records(path):
    name = f"{split}@{files.field(record, 'qid', int, where)}"
    video = files.check_id(files.field(record, "vid_name", str, where), f"{where}: 'vid_name'")
    text = tally.text(files.field(record, "q", str, where), f"{where}: 'q'", "questions")
    candidates = multiple_choice.read_candidates(record, _CANDIDATES, where, tally)
    hidden = split.startswith("test")
    index = read_answer(record, candidates, where, hidden=hidden, as_text=as_text)
    item = TextItem(
        name, video, split, text, question_type=question_type(text, (*TYPES, "why")),
        moments=read_moment(record, where, name, tally, hidden=hidden),
        subtitles=spoken.get(video, ()),
        **multiple_choice.choice(candidates, index))
    files.add_new(items, name, item, f"{path}: question")
  if not items:
    raise UserError(f"{path}: split {split} has no question: get the file again or take it out")
  return list(items.values())


def read_answer(
    record: dict[str, Any],
    candidates: tuple[str, ...],
    where: str,
    *,
    hidden: bool,
    as_text: bool = False,
) -> int:
  """`answer_idx`; it may be missing where the split's answers are hidden.

  `as_text` takes "3" as well as 3.
  """
  place = f"{where}: 'answer_idx'"
  if hidden and record.get("answer_idx") is None:
    return multiple_choice.HIDDEN
  value = record.get("answer_idx")
  if as_text and isinstance(value, str):
    value = tables.parse_int(value, place)
  return multiple_choice.check_index(value, candidates, place)


def read_moment(
    record: dict[str, Any], where: str, name: str, tally: Tally, *, hidden: bool = False
) -> tuple[tuple[float, float], ...]:
  """The window of `ts`, none where it is unknown or empty.

  It may be missing where the split's moments are hidden; those are counted.
  """
  if hidden and record.get("ts") is None:
    tally.add("questions have no 'ts': their moments are hidden")
    return ()
  if "ts" not in record:
    raise UserError(f"{where}: has no 'ts', only {files.short(list(record))}: {files.MEND}")
  times = read_times(record["ts"], f"{where}: 'ts'")
  if times is None:
    tally.add("questions have no times (nan-nan): kept without a moment", name)
    return ()
  window = moments.clip_window(
      times, float("nan"), tally, what="questions", otherwise="kept without a moment",
      place=f"{name} {times[0]:g}-{times[1]:g}")
  return (window,) if window else ()


def _show(video: str) -> str:
  """The show of a clip's name; those of The Big Bang Theory have none in front."""
  return "bbt" if re.match(r"s[0-9]+e[0-9]+_", video) else video.split("_")[0]
