"""NExT-QA's questions: multiple choice, and NExT-OE's open-ended ones."""

from collections.abc import Mapping
import dataclasses
import pathlib

from mla_jax.data.annotations import counts, files, multiple_choice, tables
from mla_jax.data.annotations.schema import Annotations, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

FAMILY = "nextqa"
SPLITS = ("train", "val", "test")
TYPES = ("CW", "CH", "TN", "TC", "TP", "DC", "DL", "DO", "DB")
CANDIDATES = ("a0", "a1", "a2", "a3", "a4")
_MERGED = {"TP": "TN"}  # As the official evaluations do.
_MAP = "map_vid_vidorID.json"
_VIDEOS: dict[str, int | None] = {"train": 3870, "val": 570, "test": 1000}
_QUESTIONS: dict[str, int | None] = {"train": 34132, "val": 4996, "test": 8564}
_OE_QUESTIONS: dict[str, int | None] = {"train": 37523, "val": 5343, "test": 9178}
_OFFICIAL_TYPES = {"val": {
    "CW": 1924, "TN": 895, "CH": 683, "TC": 663, "DO": 305, "DL": 295, "DC": 177, "TP": 54}}


@dataclasses.dataclass(frozen=True)
class Row:
  """A row of a question file.

  Attributes:
    where: its place, for messages.
    key: (video, qid) as the files have them.
    item: the question, without what depends on the task.
    kind: its type as the file has it, before types are merged.
    values: the columns.
  """

  where: str
  key: tuple[str, str]
  item: TextItem
  kind: str
  values: dict[str, str]


def read_qa(directory: pathlib.Path) -> Annotations:
  """Multiple choice: `{train,val,test}.csv` and, to find videos by, `map_vid_vidorID.json`.

  Columns `video,question,answer,qid,type,a0,...,a4`, others ignored; `answer` is an index from 0.
  Where the column is called `video_id` (NExT-GQA's copy), `answer` is the text of a candidate, or
  of two equal ones, of which either is right then.

  Raises:
    UserError: no file, a malformed or empty row, an answer that is not among the candidates, two
      rows of one id that contradict each other.
  """
  found, notes = files.by_split(directory, names())
  items = []
  kinds: dict[str, list[str]] = {}
  for split, path in found.items():
    tally = Tally(path)
    rows = read_rows(path, split, CANDIDATES, tally)
    items += [choose(row, tally) for row in rows]
    kinds[split] = [row.kind for row in rows]
    notes += tally.notes()
  found_counts = counts.split_counts(items, "questions", _QUESTIONS, _VIDEOS)
  found_counts += counts.type_counts(kinds, TYPES, _OFFICIAL_TYPES)
  return annotations("qa", directory, items, found_counts, notes)


def read_oe(directory: pathlib.Path) -> Annotations:
  """Open-ended: the same files without candidates, `answer` is text.

  Further right answers come from `add_reference_answer_{split}.json`: `{video: {qid: answer}}`.

  Raises:
    UserError: see `read_qa`; the files are those of the multiple-choice set; a reference answer of
      no question.
  """
  found, notes = files.by_split(directory, names())
  items = []
  kinds: dict[str, list[str]] = {}
  for split, path in found.items():
    tally = Tally(path)
    rows = read_rows(path, split, (), tally)
    if "a0" in rows[0].values:
      raise UserError(f"{path}: has candidates (a0, ...): it is a file of NExT-QA's multiple "
                      "choice: put NExT-OE's there")
    more = _read_references(directory, split, {row.key for row in rows}, notes)
    for row in rows:
      answer = tally.text(row.values["answer"], f"{row.where}: 'answer'", "answers")
      items.append(dataclasses.replace(row.item, answer=answer, references=more.get(row.key, ())))
    kinds[split] = [row.kind for row in rows]
    notes += tally.notes()
  found_counts = counts.split_counts(items, "questions", _OE_QUESTIONS, _VIDEOS)
  found_counts += counts.type_counts(kinds, TYPES, {})
  return annotations("oe", directory, items, found_counts, notes)


def names() -> dict[str, list[str]]:
  """The files of each split."""
  return {split: [f"{split}.csv"] for split in SPLITS}


def read_rows(
    path: pathlib.Path, split: str, columns: tuple[str, ...], tally: Tally
) -> list[Row]:
  """The rows of a file that has `columns` beside those of every question.

  Another question with the id of an earlier one (3 in NExT-OE's train) gets an id of its own.
  """
  rows = []
  seen: dict[tuple[str, str], list[tuple[str, str]]] = {}
  for where, values in tables.read_table(path, ["question", "answer", "qid", "type", *columns]):
    video = files.check_id(values.get("video", values.get("video_id")), f"{where}: 'video'")
    key = (video, str(tables.parse_int(values["qid"], f"{where}: 'qid'")))
    text = tally.text(values["question"], f"{where}: 'question'", "questions")
    same = seen.setdefault(key, [])
    _check_new(same, text, values["answer"], where)
    if same:
      tally.add("questions have the id of another one: kept under an id of their own",
                "_".join(key))
    same.append((text, values["answer"]))
    kind = values["type"]
    if kind not in TYPES:
      raise UserError(f"{where}: 'type' is {files.short(kind)}, not one of {', '.join(TYPES)}: "
                      f"{files.MEND}")
    if kind in _MERGED:
      tally.add(f"questions of type {kind} count as {_MERGED[kind]}, as in the official evaluation")
    suffix = f"@{len(same)}" if len(same) > 1 else ""
    name = files.check_id(f"{split}@{'_'.join(key)}{suffix}", where)
    item = TextItem(name, video, split, text, question_type=_MERGED.get(kind, kind))
    rows.append(Row(where, key, item, kind, values))
  if not rows:
    raise UserError(f"{path}: split {split} has no question: get the file again or take it out")
  return rows


def choose(row: Row, tally: Tally) -> TextItem:
  """The row's question with its candidates."""
  candidates = multiple_choice.read_candidates(row.values, CANDIDATES, row.where, tally)
  where, answer = f"{row.where}: 'answer'", row.values["answer"]
  as_text = "video" not in row.values
  if not as_text:
    index = multiple_choice.check_index(tables.parse_int(answer, where), candidates, where)
  else:
    index = multiple_choice.index_of(answer.strip(), candidates, where, tally)
  return dataclasses.replace(row.item, **multiple_choice.choice(candidates, index, as_text=as_text))


def annotations(
    task: str,
    directory: pathlib.Path,
    items: list[TextItem],
    found_counts: list[counts.Count],
    notes: list[str],
) -> Annotations:
  """What a reader of the family returns; videos lie at `NAME` or where the map says."""
  videos = dict.fromkeys(item.video_id for item in items)
  folders = _read_map(directory, notes)
  without = sum(video not in folders for video in videos)
  if folders and without:
    notes.append(f"{_MAP}: {without:,} videos are not in it: looked up by their own name")
  listed = tuple(Video(name, (name, folders[name]) if name in folders else (name,))
                 for name in videos)
  return Annotations(
      FAMILY, task, tuple(items), listed, tuple(found_counts), tuple(notes))


def _check_new(same: list[tuple[str, str]], text: str, answer: str, where: str) -> None:
  for other_text, other_answer in same:
    if text == other_text:
      how = "is there twice" if answer == other_answer else "is there twice, with two answers"
      raise UserError(f"{where}: question {files.short(text)} {how}: take one out")


def _read_map(directory: pathlib.Path, notes: list[str]) -> dict[str, str]:
  """Video -> "folder/name" in the release of the videos."""
  path = files.find(directory, _MAP)
  if path is None:
    notes.append(f"{_MAP}: not there: videos are looked up by their own name alone")
    return {}
  folders = files.read_json(path, dict)
  for name, place in folders.items():
    where = f"{path}: {files.short(name)}"
    parts = files.expect(place, str, where).split("/")
    if len(parts) != 2:
      raise UserError(f"{where} is {files.short(place)}, not 'folder/name': {files.MEND}")
    for part in (name, *parts):
      files.check_id(part, where)
  return folders


def _read_references(
    directory: pathlib.Path, split: str, keys: set[tuple[str, str]], notes: list[str]
) -> Mapping[tuple[str, str], tuple[str, ...]]:
  """(video, qid) -> further right answers."""
  path = files.find(directory, f"add_reference_answer_{split}.json")
  if path is None:
    return {}
  found: dict[tuple[str, str], tuple[str, ...]] = {}
  tally = Tally(path)
  for video, answers in files.read_json(path, dict).items():
    where = f"{path}: {files.short(video)}"
    for qid, answer in files.expect(answers, dict, where).items():
      if (video, qid) not in keys:
        raise UserError(f"{where}: {files.short(qid)} is no question of {split}.csv: {files.MEND}")
      found[video, qid] = (tally.text(answer, f"{where}: {files.short(qid)}", "answers"),)
  notes += [f"{path.name}: {len(found):,} questions have a second right answer", *tally.notes()]
  return found
