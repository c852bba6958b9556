"""ActivityNet-QA: open-ended questions; the videos are those of ActivityNet Captions."""

import pathlib
from typing import Any

from mla_jax.data.annotations import activitynet, counts, files
from mla_jax.data.annotations.schema import Annotations, TextItem
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

# By their number in the files.
TYPES = ("motion", "spatial", "temporal", "yes_no", "color", "object", "location", "number",
         "other")
_QUESTIONS: dict[str, int | None] = {"train": 32000, "val": 18000, "test": 8000}
_VIDEOS: dict[str, int | None] = {"train": 3200, "val": 1800, "test": 800}
_OFFICIAL_TYPES = {"test": dict(zip(
    TYPES, (800, 800, 800, 2094, 697, 318, 386, 606, 1499), strict=True))}


def read_qa(directory: pathlib.Path) -> Annotations:
  """Reads `{train,val,test}_q.json` and `{train,val,test}_a.json`, joined by `question_id`.

  A question is `{"video_name", "question", "question_id"}`, its answer `{"answer", "type",
  "question_id"}`; the video's name has no `v_` in front, our id has.

  Raises:
    UserError: no questions, or questions without their answers' file, a malformed, duplicate or
      empty entry, a question without an answer or the other way round.
  """
  found, notes = files.by_split(directory, {split: [f"{split}_q.json"] for split in _QUESTIONS})
  items: list[TextItem] = []
  for split, path in found.items():
    tally = Tally(path)
    answers = _read_answers(files.require(directory, f"{split}_a.json"), notes)
    items += _read_questions(path, split, answers, tally)
    notes += tally.notes()
  types = {split: [item.question_type for item in items if item.split == split] for split in found}
  found_counts = counts.split_counts(items, "questions", _QUESTIONS, _VIDEOS)
  found_counts += counts.type_counts(types, TYPES, _OFFICIAL_TYPES)
  videos = tuple(map(activitynet.video, dict.fromkeys(item.video_id for item in items)))
  return Annotations(
      "activitynet", "qa", tuple(items), videos, tuple(found_counts), tuple(notes))


def _read_answers(path: pathlib.Path, notes: list[str]) -> dict[str, tuple[str, str]]:
  """Question id -> its answer and type."""
  answers: dict[str, tuple[str, str]] = {}
  tally = Tally(path)
  for where, record in files.read_records(path):
    name = files.check_id(record.get("question_id"), where)
    answer = tally.text(files.field(record, "answer", str, where), f"{where}: 'answer'", "answers")
    number = files.field(record, "type", int, where)
    if not 0 <= number < len(TYPES):
      raise UserError(f"{where}: 'type' is {number}, not one of 0 to {len(TYPES) - 1}: "
                      f"{files.MEND}")
    files.add_new(answers, name, (answer, TYPES[number]), f"{path}: question")
  notes += tally.notes()
  return answers


def _read_questions(
    path: pathlib.Path, split: str, answers: dict[str, tuple[str, str]], tally: Tally
) -> list[TextItem]:
  items: dict[str, TextItem] = {}
  for where, record in files.read_records(path):
    name = files.check_id(record.get("question_id"), where)
    text = tally.text(
        files.field(record, "question", str, where), f"{where}: 'question'", "questions")
    if name not in answers:
      raise UserError(f"{where}: question {name!r} has no answer in {split}_a.json: {files.MEND}")
    answer, kind = answers[name]
    files.add_new(items, name, TextItem(
        files.check_id(f"{split}@{name}", where), _video_id(record, where), split, text,
        answer=answer, question_type=kind), f"{path}: question")
  left = [name for name in answers if name not in items]
  if left:
    raise UserError(f"{path}: has no question for {len(left):,} answers of {split}_a.json "
                    f"({files.short(left[0])}): {files.MEND}")
  if not items:
    raise UserError(f"{path}: split {split} has no question: get the file again or take it out")
  return list(items.values())


def _video_id(record: dict[str, Any], where: str) -> str:
  return files.check_id(f"v_{files.field(record, 'video_name', str, where)}", where)
