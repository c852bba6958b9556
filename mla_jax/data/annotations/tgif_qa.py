"""TGIF-QA: repeated actions, transitions, counting and questions about a frame.

The public files have 4 training rows of action and of count fewer than their README says.
"""

from collections.abc import Callable, Iterator
import pathlib
from typing import Any, TypeAlias

from mla_jax.data.annotations import counts, files, multiple_choice, tables
from mla_jax.data.annotations.schema import Annotations, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

MOST = 10  # The label of "ten or more times".
_OFFICIAL: dict[str, dict[str, int | None]] = {  # The README's.
    "action": {"train": 20475, "test": 2274},
    "transition": {"train": 52704, "test": 6232},
    "count": {"train": 26843, "test": 3554},
    "frameqa": {"train": 39392, "test": 13691},
}
_PUBLIC = {"action": 20471, "count": 26839}  # Training rows of the files in the repository.
_TYPES = ("object", "number", "color", "location")  # By their number in the files.
_OFFICIAL_TYPES = {"test": {"object": 5586, "number": 3148, "color": 3904, "location": 1053}}
_LEAKAGE = (
    "training gifs of tgif_qa_action are test gifs of tgif_qa_count (397), tgif_qa_frameqa (275) "
    "and tgif_qa_transition (93), those of tgif_qa_count of tgif_qa_action (35): do not move a "
    "checkpoint between the tasks")
_CANDIDATES = ("a1", "a2", "a3", "a4", "a5")
_HQGA_CANDIDATES = ("a0", "a1", "a2", "a3", "a4")
# From a row, its place and a tally to what the task's items have beside their id, video and split.
_Fields: TypeAlias = Callable[[dict[str, str], str, Tally], dict[str, Any]]


def read_action(directory: pathlib.Path) -> Annotations:
  """What is done so many times: five candidates, `answer` is an index from 0.  See `_read`."""
  return _read(directory, "action", _choice)


def read_transition(directory: pathlib.Path) -> Annotations:
  """What is done before or after something: as `read_action`."""
  return _read(directory, "transition", _choice)


def read_count(directory: pathlib.Path) -> Annotations:
  """How many times: `count` is the raw label, 0 to 10, 10 = ten or more."""
  return _read(directory, "count", _count)


def read_frameqa(directory: pathlib.Path) -> Annotations:
  """Open-ended questions about a frame. `description` holds the answer and is never read."""
  return _read(directory, "frameqa", _frameqa)


def _read(directory: pathlib.Path, task: str, read_fields: _Fields) -> Annotations:
  """Reads `{Train,Test}_{task}_question.csv`: columns separated by tabs.

  In the place of one, HQGA's `{train,test}.csv` does: commas, `video,question,answer,qid` and for
  candidates `a0` to `a4`; a video is then called by its number, the official files' `key`.

  Raises:
    UserError: no file, a malformed, duplicate or empty row, an answer out of range, a gif with two
      keys.
  """
  names = {split: [f"{split.title()}_{task}_question.csv", f"{split}.csv"]
           for split in ("train", "test")}
  found, notes = files.by_split(directory, names)
  items: list[TextItem] = []
  keys: dict[str, str] = {}
  for split, path in found.items():
    if not _is_official(path):
      notes.append(f"{path.name}: HQGA's copy: other wording, no types, videos called by numbers")
    tally = Tally(path)
    items += _read_file(path, task, split, read_fields, keys, tally)
    notes += tally.notes()
  rows = sum(item.split == "train" for item in items)
  if rows and rows == _PUBLIC.get(task):
    notes.append(f"train: {rows:,} questions are all that the public file has: its README says "
                 f"{_OFFICIAL[task]['train']:,}")
  found_counts = counts.split_counts(items, "questions", _OFFICIAL[task], {})
  if task == "frameqa":
    types = {split: [item.question_type for item in items if item.split == split]
             for split in found}
    # HQGA's copy has no types to compare.
    types = {split: kinds for split, kinds in types.items() if any(kinds)}
    found_counts += counts.type_counts(types, _TYPES, _OFFICIAL_TYPES)
  videos = tuple(Video(name, tuple(dict.fromkeys((name, key)))) for name, key in keys.items())
  return Annotations(
      "tgif", f"qa_{task}", tuple(items), videos, tuple(found_counts), tuple(notes),
      leakage=_LEAKAGE)


def _read_file(
    path: pathlib.Path,
    task: str,
    split: str,
    read_fields: _Fields,
    keys: dict[str, str],
    tally: Tally,
) -> list[TextItem]:
  items: dict[str, TextItem] = {}
  for where, row in _rows(path, task):
    video = files.check_id(row["video"], where)
    files.same(keys, video, files.check_id(row["key"], where), f"{where}: 'key'")
    name = files.check_id(f"{split}@{row['qid']}", where)
    text = tally.text(row["question"], f"{where}: 'question'", "questions")
    fields = read_fields(row, where, tally)
    files.add_new(items, name, TextItem(name, video, split, text, **fields), f"{path}: question")
  if not items:
    raise UserError(f"{path}: split {split} has no question: get the file again or take it out")
  return list(items.values())


def _rows(path: pathlib.Path, task: str) -> Iterator[tuple[str, dict[str, str]]]:
  """The rows of either form, each with `video`, `qid`, `key` and `type`."""
  columns = ["question", "answer"]
  choices = task in ("action", "transition")
  if not _is_official(path):
    columns += [*(_HQGA_CANDIDATES if choices else ()), "video", "qid"]
    for where, row in tables.read_table(path, columns):
      yield where, row | {"key": row["video"], "type": ""}
    return
  columns += [*(_CANDIDATES if choices else ()), "gif_name", "vid_id", "key"]
  columns += ["type"] if task == "frameqa" else []
  # Descriptions are never read, and one may begin with a quote.
  unread = "description" if task == "frameqa" else ""
  for where, row in tables.read_table(path, columns, "\t", unread=unread):
    yield where, row | {"video": row["gif_name"], "qid": row["vid_id"]}


def _is_official(path: pathlib.Path) -> bool:
  return path.name.removesuffix(".gz").endswith("_question.csv")


def _choice(row: dict[str, str], where: str, tally: Tally) -> dict[str, Any]:
  columns = _CANDIDATES if "gif_name" in row else _HQGA_CANDIDATES
  candidates = multiple_choice.read_candidates(row, columns, where, tally)
  index = tables.parse_int(row["answer"], f"{where}: 'answer'")
  return multiple_choice.choice(
      candidates, multiple_choice.check_index(index, candidates, f"{where}: 'answer'"))


def _count(row: dict[str, str], where: str, tally: Tally) -> dict[str, Any]:
  del tally
  label = tables.parse_int(row["answer"], f"{where}: 'answer'")
  if not 0 <= label <= MOST:
    raise UserError(f"{where}: 'answer' is {label}, not one of 0 to {MOST}: {files.MEND}")
  return {"count": label}


def _frameqa(row: dict[str, str], where: str, tally: Tally) -> dict[str, Any]:
  answer = tally.text(row["answer"], f"{where}: 'answer'", "answers")
  if not row["type"]:
    return {"answer": answer}
  number = tables.parse_int(row["type"], f"{where}: 'type'")
  if not 0 <= number < len(_TYPES):
    raise UserError(f"{where}: 'type' is {number}, not one of 0 to {len(_TYPES) - 1}: {files.MEND}")
  return {"answer": answer, "question_type": _TYPES[number]}
