"""The question files of MSVD-QA and MSRVTT-QA, in the three forms in which they are published."""

from collections.abc import Callable
import dataclasses
import pathlib
import re
from typing import Any

from mla_jax.data.annotations import files, tables
from mla_jax.data.annotations.schema import Count, TextItem
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

SPLITS = ("train", "val", "test")
TYPES = ("what", "who", "how", "when", "where")
_FORMS = ("{}_qa.json", "{}_qa.jsonl", "{}.jsonl", "{}_qa.csv", "{}.csv")


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
  """Reads the questions of train, val and test: those that are there, at least one.

  A split's file is the first that is there of

  - `train_qa.json`: a list of `{"answer", "id", "question", "video_id"}` (xudejing's files), the
    last a number, or its digits as text;
  - `train_qa.jsonl`, `train.jsonl`: such an object a line, `id` may be missing (ClipBERT, ALPRO);
  - `train_qa.csv`, `train.csv`: columns `video,question,answer,qid` (HQGA).

  Other keys and columns are ignored. The forms differ in wording (HQGA has no question marks).

  Args:
    directory: holds the files.
    video_name: from a record's `video_id` and the place to name in an error, to our video id.
    official: sizes to compare with.

  Raises:
    UserError: no file, or a malformed, duplicate or empty entry, or a file without questions.
  """
  names = {split: [form.format(split) for form in _FORMS] for split in SPLITS}
  found, notes = files.by_split(directory, names)
  items: list[TextItem] = []
  counts: list[Count] = []
  for split, path in found.items():
    if path.name.removesuffix(".gz").endswith(".csv"):
      notes.append(f"{path.name}: HQGA's copy: its questions have no question marks")
    tally = Tally(path)
    questions = _read_split(path, split, video_name, tally)
    items += questions
    counts += _counts(questions, split, official)
    notes += tally.notes()
  return Questions(tuple(items), tuple(counts), tuple(notes))


def question_type(question: str, types: tuple[str, ...] = TYPES) -> str:
  """The first word if it is one of `types`, else "other"."""
  first = question.split(maxsplit=1)[0].lower()
  return first if first in types else "other"


def _read_split(
    path: pathlib.Path, split: str, video_name: Callable[[Any, str], str], tally: Tally
) -> list[TextItem]:
  items: list[TextItem] = []
  seen: dict[str, str] = {}
  for number, (where, record) in enumerate(_records(path)):
    name = str(files.expect(record.get("id", number), int, f"{where}: 'id'"))
    text = tally.text(
        files.field(record, "question", str, where), f"{where}: 'question'", "questions")
    answer = tally.text(files.field(record, "answer", str, where), f"{where}: 'answer'", "answers")
    video = video_name(_number_or_name(record.get("video_id")), f"{where}: 'video_id'")
    files.add_new(seen, name, answer, f"{path}: question id")
    items.append(TextItem(
        item_id=f"{split}@{name}", video_id=video, split=split, text=text, answer=answer,
        question_type=question_type(text)))
  if not items:
    raise UserError(f"{path}: split {split} has no question: get the file again or take it out")
  return items


def _records(path: pathlib.Path) -> list[tuple[str, dict[str, Any]]]:
  name = path.name.removesuffix(".gz")
  if not name.endswith(".csv"):
    records = files.read_records(path)
    for where, record in records:
      if name.endswith(".json"):  # A line of the other form may go without.
        files.field(record, "id", int, where)
    return records
  columns = ["video", "question", "answer", "qid"]
  return [(where, {"id": tables.parse_int(row["qid"], f"{where}: 'qid'"),
                   "video_id": row["video"],
                   "question": row["question"], "answer": row["answer"]})
          for where, row in tables.read_table(path, columns)]


def _number_or_name(value: Any) -> Any:
  """A video's number where it is written as text, as in csv files and some JSON files."""
  digits = isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value)
  return int(value) if digits else value


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
