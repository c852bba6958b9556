"""NExT-GQA: NExT-QA's questions with the moments that show their answers."""

import dataclasses
import pathlib
from typing import Any

from mla_jax.data.annotations import counts, files, moments, nextqa
from mla_jax.data.annotations.schema import Annotations, TextItem
from mla_jax.data.annotations.tally import Tally

_QUESTIONS: dict[str, int | None] = {"val": 3358, "test": 5553}


def read_gqa(directory: pathlib.Path) -> Annotations:
  """`{val,test}.csv` (and `train.csv`, which has no moments) with `gsub_{val,test}.json`.

  The questions are as in `nextqa.read_qa`. The moments are `{video: {"duration", "location": {qid:
  [[start, end], ...]}}}` in seconds. They are evaluated against alone: the texts' segments have no
  times, so that no training sees them.

  Raises:
    UserError: see `nextqa.read_qa`; also val or test without its `gsub` file, moments of a question
      that is not there.
  """
  found, notes = files.by_split(directory, nextqa.names())
  items: list[TextItem] = []
  kinds: dict[str, list[str]] = {}
  for split, path in found.items():
    tally = Tally(path)
    rows = nextqa.read_rows(path, split, nextqa.CANDIDATES, tally)
    questions = [nextqa.choose(row, tally) for row in rows]
    kinds[split] = [row.kind for row in rows]
    notes += tally.notes()
    if split != "train":
      grounded: dict[str, TextItem] = {}
      for row, item in zip(rows, questions, strict=True):
        files.add_new(grounded, "_".join(row.key), item, f"{row.where}: question")
      _ground(files.require(directory, f"gsub_{split}.json"), grounded, notes)
      questions = list(grounded.values())
    items += questions
  found_counts = counts.split_counts(items, "questions", _QUESTIONS, {})
  found_counts += counts.type_counts(kinds, nextqa.TYPES, {})
  return nextqa.annotations("gqa", directory, items, found_counts, notes)


def _ground(
    path: pathlib.Path, questions: dict[str, TextItem], notes: list[str]
) -> None:
  """Gives the questions their moments and their video's duration."""
  tally = Tally(path)
  for video, record in files.read_json(path, dict).items():
    where = f"{path}: {files.short(video)}"
    record = files.expect(record, dict, where)
    duration = moments.read_duration(record.get("duration"), f"{where}: 'duration'")
    for qid, windows in files.field(record, "location", dict, where).items():
      name = files.check_id(f"{video}_{qid}", where)
      if name not in questions:
        tally.add("questions have moments and are not there: left out", name)
        continue
      found = _windows(windows, duration, name, f"{where}: {files.short(qid)}", tally)
      questions[name] = dataclasses.replace(questions[name], duration=duration, moments=found)
  for item in questions.values():
    if not item.moments:
      tally.add("questions have no moment", item.item_id)
  notes += tally.notes()


def _windows(
    windows: Any, duration: float, name: str, where: str, tally: Tally
) -> tuple[tuple[float, float], ...]:
  """The windows as they are, as the official evaluation takes them: it clips none."""
  found = []
  for value in files.expect(windows, list, where):
    window = moments.read_window(value, where)
    start, end = window
    if end <= start:
      tally.add("moments had an end that is not after their start: left out",
                f"{name} {start:g}-{end:g}")
      continue
    if start < 0 or end > duration:
      tally.add("moments reach beyond [0, duration]: kept as they are, as the official evaluation "
                "has them")
    found.append(window)
  return tuple(found)
