"""The question files that MSVD-QA and MSRVTT-QA share: `{train,val,test}_qa.json`."""

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any

from mla_jax.data.annotations import files
from mla_jax.data.annotations.schema import Count, TextItem
from mla_jax.errors import UserError

SPLITS = ("train", "val", "test")
TYPES = ("what", "who", "how", "when", "where")


@dataclasses.dataclass(frozen=True)
class Official:
  """A dataset's published sizes, by split; `types` are the questions of each type in test."""

  questions: dict[str, int]
  videos: dict[str, int]
  types: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Questions:
  """The questions of every file that is there, and what was counted on the way."""

  items: tuple[TextItem, ...]
  counts: tuple[Count, ...]
  notes: tuple[str, ...]


def read_questions(
    directory: pathlib.Path, video_name: Callable[[Any, str], str], official: Official
) -> Questions:
  """Reads `train_qa.json`, `val_qa.json`, `test_qa.json`: those that are there, at least one.

  Each is a list of `{"answer", "id", "question", "video_id"}`; other keys are ignored.

  Args:
    directory: holds the files.
    video_name: from a record's `video_id` and the place to name in an error, to our video id.
    official: sizes to compare with.

  Raises:
    UserError: no file, or a malformed, duplicate or empty entry, or a file without questions.
  """
  found = {split: files.find(directory, f"{split}_qa.json") for split in SPLITS}
  if not any(found.values()):
    raise UserError(f"{directory}: has none of train_qa.json, val_qa.json, test_qa.json (or .gz): "
                    "put the dataset's files there")
  items: list[TextItem] = []
  counts: list[Count] = []
  notes: list[str] = []
  for split, path in found.items():
    if path is None:
      notes.append(f"{split}_qa.json: not there: no split {split}")
      continue
    questions, stripped = _read_split(path, split, video_name)
    items += questions
    counts += _counts(questions, split, official)
    notes += files.stripped_note(path, "questions or answers", stripped)
  return Questions(tuple(items), tuple(counts), tuple(notes))


def question_type(question: str) -> str:
  """The first word if it is what, who, how, when or where, else "other"."""
  first = question.split(maxsplit=1)[0].lower()
  return first if first in TYPES else "other"


def _read_split(
    path: pathlib.Path, split: str, video_name: Callable[[Any, str], str]
) -> tuple[list[TextItem], int]:
  items: list[TextItem] = []
  seen: dict[str, None] = {}
  stripped = 0
  for number, record in enumerate(files.read_json(path, list)):
    where = f"{path}: entry {number}"
    record = files.expect(record, dict, where)
    name = str(files.field(record, "id", int, where))
    files.add_new(seen, name, None, f"{path}: question id")
    text = files.clean_text(files.field(record, "question", str, where), f"{where}: 'question'")
    answer = files.clean_text(files.field(record, "answer", str, where), f"{where}: 'answer'")
    stripped += text != record["question"] or answer != record["answer"]
    video = video_name(record.get("video_id"), f"{where}: 'video_id'")
    items.append(TextItem(
        item_id=f"{split}@{name}", video_id=video, split=split, text=text, answer=answer,
        question_type=question_type(text)))
  if not items:
    raise UserError(f"{path}: split {split} has no question: get the file again or take it out")
  return items, stripped


def _counts(items: list[TextItem], split: str, official: Official) -> list[Count]:
  counts = [
      Count(f"{split} questions", len(items), official.questions[split]),
      Count(f"{split} videos with questions", len({item.video_id for item in items}),
            official.videos[split]),
  ]
  types = [item.question_type for item in items]
  for kind in (*TYPES, "other"):
    expected = official.types.get(kind, 0) if split == "test" else None
    counts.append(Count(f"{split} questions: {kind}", types.count(kind), expected))
  return counts
