"""How2QA: four candidates about clips of 60 seconds, in two releases that are split differently."""

import hashlib
import pathlib
import re
from typing import Any

from mla_jax.data.annotations import (
    counts,
    cuts,
    files,
    moments,
    multiple_choice,
    subtitles,
    tables,
    tvqa,
)
from mla_jax.data.annotations.schema import Annotations, Subtitle, TextItem
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_CLIP = 60  # Seconds.
_FIRST = {split: [f"how2QA_{split}_release.csv"] for split in ("train", "val", "test_public")}
_FIRST_QUESTIONS: dict[str, int | None] = {"train": 35405, "val": 2852, "test_public": 2937}
_COLUMNS = ("vid_id", "timesteps", "a2", "a3", "a4", "question", "a1")  # By their position.
_TIMES = re.compile(r"\s*\[([0-9.]+)\s*:\s*([0-9.]+)\]\s*")
_VALUE = {split: [f"how2qa_{split}_release.jsonl"] for split in ("train", "val", "test_public")}
_VALUE_QUESTIONS: dict[str, int | None] = {"train": 34187, "val": 3115, "test_public": 3095}
_CANDIDATES = ("a0", "a1", "a2", "a3")
_MAP = "how2_vid_mapping.json"
_SUBTITLES = ("how2_subtitles.jsonl", "subtitles.jsonl")


def read_qa(directory: pathlib.Path) -> Annotations:
  """Reads one of the releases: they are not the same split, so their files must not be mixed.

  First release: `how2QA_{train,val,test_public}_release.csv`, seven columns in this order, with or
  without a line of names: YouTube name, "[start:end]" in seconds of the whole video, three wrong
  candidates, the question, the right one. The candidates are put into an order by a keyed hash, so
  that their place tells nothing. The video is the minute in which the times begin.

  VALUE's release: `how2qa_{train,val,test_public}_release.jsonl` with TVQA's keys, `a0` to `a3`;
  videos are numbers that `how2_vid_mapping.json` names; test_public has no answers.

  Either may have subtitles (`how2_subtitles.jsonl`), see `subtitles.read_subtitles`.

  Raises:
    UserError: no file, files of both releases, a malformed, duplicate or empty entry, an answer out
      of range.
  """
  first = any(files.find(directory, name) for names in _FIRST.values() for name in names)
  value = any(files.find(directory, name) for names in _VALUE.values() for name in names)
  if first and value:
    raise UserError(f"{directory}: has files of both releases (csv and jsonl), which are split "
                    "differently: keep one")
  spoken, more = subtitles.read_subtitles(directory, _SUBTITLES)
  names, official = (_FIRST, _FIRST_QUESTIONS) if first else (_VALUE, _VALUE_QUESTIONS)
  found, notes = files.by_split(directory, names)
  clips = {} if first else _read_map(directory, notes)
  items: list[TextItem] = []
  for split, path in found.items():
    tally = Tally(path)
    questions = (_read_first(path, split, spoken, tally) if first else
                 _read_value(path, split, clips, spoken, tally))
    if not questions:
      raise UserError(f"{path}: split {split} has no question: get the file again or take it out")
    items += questions
    notes += tally.notes()
  videos = dict.fromkeys(item.video_id for item in items)
  notes += [*more, *subtitles.check_spoken(directory, spoken, videos, _SUBTITLES)]
  return Annotations(
      "how2qa", "qa", tuple(items), tuple(map(cuts.cut_video, videos)),
      tuple(counts.split_counts(items, "questions", official, {})), tuple(notes))


def _read_first(
    path: pathlib.Path, split: str, spoken: dict[str, tuple[Subtitle, ...]], tally: Tally
) -> list[TextItem]:
  items: list[TextItem] = []
  rows = tables.read_rows(path)
  if rows and _is_header(rows[0][1]):
    tally.add("first lines were taken for names of columns", ",".join(rows[0][1]))
    rows = rows[1:]
  else:
    tally.add("first lines are no header: read as a question")
  for number, (where, row) in enumerate(rows):
    tables.check_width(row, len(_COLUMNS), where)
    record = dict(zip(_COLUMNS, row, strict=True))
    name = f"{split}@{number}"
    video, window = _read_clip(record, name, where, tally)
    text = tally.text(record["question"], f"{where}: 'question'", "questions")
    right, *wrong = multiple_choice.read_candidates(record, ("a1", "a2", "a3", "a4"), where, tally)
    key = f"{video} {record['timesteps']} {text}"
    order = _order(key, (right, *wrong))
    items.append(TextItem(
        name, video, split, text, moments=window, subtitles=spoken.get(video, ()),
        duration=float(_CLIP), **multiple_choice.choice(order, order.index(right))))
  return items


def _is_header(row: list[str]) -> bool:
  """Names of columns; a damaged question is none, and must not go unseen."""
  return len(row) == len(_COLUMNS) and not re.search(r"[\[\]:]", row[1])


def _order(key: str, candidates: tuple[str, ...]) -> tuple[str, ...]:
  """The candidates in an order that depends on their words and the question alone."""
  return tuple(sorted(candidates, key=lambda text: (
      hashlib.sha256(f"mla_jax how2qa {key} {text}".encode()).digest(), text)))


def _read_clip(
    record: dict[str, str], name: str, where: str, tally: Tally
) -> tuple[str, tuple[tuple[float, float], ...]]:
  """The clip of a row, and its moment in the clip's own time."""
  match = _TIMES.fullmatch(record["timesteps"])
  if match is None:
    raise UserError(f"{where}: the second column is {files.short(record['timesteps'])}, not "
                    f"'[start:end]': {files.MEND}")
  start, end = (
      tables.parse_seconds(text, f"{where}: the second column") for text in match.groups())
  first = int(start) // _CLIP * _CLIP
  video = files.check_id(f"{record['vid_id'].strip()}_{first}_{first + _CLIP}", where)
  window = moments.clip_window(
      (start - first, end - first), _CLIP, tally, what="questions",
      otherwise="kept without a moment", place=f"{name} {start:g}-{end:g}")
  return video, (window,) if window else ()


def _read_value(
    path: pathlib.Path,
    split: str,
    clips: dict[str, str],
    spoken: dict[str, tuple[Subtitle, ...]],
    tally: Tally,
) -> list[TextItem]:
  items: dict[str, TextItem] = {}
  for where, record in files.read_records(path):
    name = files.check_id(f"{split}@{_number(record, 'qid', where)}", where)
    number = _number(record, "vid_name", where)
    video = files.check_id(clips.get(number, number), f"{where}: 'vid_name'")
    if clips and number.isdecimal() and number not in clips:
      tally.add(f"questions are of a video that {_MAP} does not name: kept under its number")
    text = tally.text(files.field(record, "q", str, where), f"{where}: 'q'", "questions")
    candidates = multiple_choice.read_candidates(record, _CANDIDATES, where, tally)
    index = tvqa.read_answer(record, candidates, where, hidden=split.startswith("test"))
    item = TextItem(
        name, video, split, text, moments=tvqa.read_moment(
            record, where, name, tally, hidden=split.startswith("test")),
        subtitles=spoken.get(video, spoken.get(number, ())),
        **multiple_choice.choice(candidates, index))
    files.add_new(items, name, item, f"{path}: question")
  return list(items.values())


def _number(record: dict[str, Any], key: str, where: str) -> str:
  """A number that some of the files have as text."""
  value = record.get(key)
  return value if isinstance(value, str) else str(files.field(record, key, int, where))


def _read_map(directory: pathlib.Path, notes: list[str]) -> dict[str, str]:
  """Number -> clip, "YouTube name_start_end"."""
  path = files.find(directory, _MAP)
  if path is None:
    notes.append(f"{_MAP}: not there: videos are looked up by their numbers")
    return {}
  clips = files.read_json(path, dict)
  for number, clip in clips.items():
    files.check_id(clip, f"{path}: {files.short(number)}")
  return clips
