"""Questions asked again about the same video: counted and listed, whichever reader it is."""

from collections.abc import Mapping
import json
import pathlib
from typing import Any, NamedTuple

import hypothesis
from hypothesis import strategies as st
import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.repeats import repeat_notes
from mla_jax.data.annotations.schema import TextItem
from tests.data.annotations import layouts, layouts_more

REPEATED = "questions repeat one about the same video, with the same answer: kept as they are"
CONTRADICTING = (
    "questions are asked again about the same video, with another answer: kept as they are")
_CHOICES = CONTRADICTING.replace("answer:", "answer or other candidates:")


class _Row(NamedTuple):
  """A row of a small layout, and how to write it with another id and another answer."""

  files: tuple[str, ...]
  old_id: str
  new_id: str
  answer: str
  other: str


_ROWS = {
    "msvd_qa": _Row(("train_qa.json",), '"id": 0', '"id": 9{}', '"dog"', '"cat"'),
    "msrvtt_qa": _Row(("train_qa.json",), '"id": 0', '"id": 9{}', '"dog"', '"cat"'),
    "msrvtt_qa jsonl": _Row(("train.jsonl",), "couch", "couch", "couch", "sofa"),  # Without ids.
    "msrvtt_qa csv": _Row(("test.csv",), "170859", "9{}", "regard", "show"),
    "msvd_qa jsonl": _Row(("train.jsonl",), "squirrel", "squirrel", "squirrel", "nut"),
    "msvd_qa csv": _Row(("val.csv",), ",3", ",9{}", "man", "woman"),
    "demo_qa": _Row(("questions.json",), '"id": 0', '"id": 9{}', '"circle"', '"square"'),
    "activitynet_qa": _Row(("train_q.json", "train_a.json"), "Tils_3", "Tils_9{}", '"no"', '"yes"'),
    "tgif_qa_action": _Row(
        ("Train_action_question.csv",), "ACTION1", "ACTION9{}", "\t2\t", "\t3\t"),
    "tgif_qa_transition": _Row(
        ("Train_transition_question.csv",), "TRANS1", "TRANS9{}", "\t1\t", "\t2\t"),
    "tgif_qa_count": _Row(("Train_count_question.csv",), "COUNT1", "COUNT9{}", "\t0\t", "\t4\t"),
    "tgif_qa_frameqa": _Row(
        ("Train_frameqa_question.csv",), "FRAMEQA1", "FRAMEQA9{}", "\tcookie\t", "\tice\t"),
    "tgif_qa_action hqga": _Row(("train.csv",), "ACTION1", "ACTION9{}", "pat,2", "pat,3"),
    "tgif_qa_frameqa hqga": _Row(("train.csv",), "FRAMEQA1", "FRAMEQA9{}", "cookie", "ice"),
    "nextqa": _Row(("val.csv",), ",6,CH", ",9{},CH", "play,0", "play,1"),
    "nextqa_oe": _Row(("train.csv",), ",1,DB", ",9{},DB", ",yes,", ",no,"),
    "nextgqa": _Row(("val.csv",), ",1,CW", ",9{},CW", "stop,red light", "stop,tired"),
    "how2qa": _Row(("how2QA_train_release.csv",), "hjA", "hjA", ",white", ",black"),
    "how2qa value": _Row(("how2qa_train_release.jsonl",), '"qid": 1', '"qid": 9{}',
                         '"answer_idx": 3', '"answer_idx": 1'),
    "tvqa": _Row(("tvqa_val.jsonl",), '"qid": 10', '"qid": 9{}',
                 '"answer_idx": 4', '"answer_idx": 2'),
    "tvqa_plus": _Row(("tvqa_plus_train.json",), '"qid": 7', '"qid": 9{}',
                      '"answer_idx": "3"', '"answer_idx": "2"'),
}
_LAYOUTS: Mapping[str, Mapping[str, Any]] = layouts.FILES | layouts_more.FILES


def _append(path: pathlib.Path, row: _Row, number: int, *, other: bool) -> None:
  """Writes the row once more, under an id of its own."""
  text = path.read_text()
  listed = path.suffix == ".json"
  rows = [json.dumps(record) for record in json.loads(text)] if listed else text.splitlines()
  (first, *_) = [line for line in rows if row.old_id in line]
  again = first.replace(row.answer, row.other) if other else first
  rows.append(again.replace(row.old_id, row.new_id.format(number)))
  path.write_text(f"[{','.join(rows)}]" if listed else "".join(f"{line}\n" for line in rows))


def _asked_again(read: annotations.Annotations) -> list[str]:
  return [note.split(" (")[0] for note in read.notes
          if " asked again " in note or " repeat one " in note]


@pytest.mark.parametrize("layout", _ROWS)
def test_every_reader_lists_them(layout: str, tmp_path: pathlib.Path) -> None:
  dataset, row = layout.split()[0], _ROWS[layout]
  layouts.write_files(_LAYOUTS[layout], tmp_path)
  before = annotations.read(dataset, tmp_path)
  for number, other in enumerate((False, True)):
    for name in row.files:
      _append(tmp_path / name, row, number, other=other)
  read = annotations.read(dataset, tmp_path)
  assert len(read.items) == len(before.items) + 2
  new = set(_asked_again(read)) - set(_asked_again(before))
  (split,) = {note.split(":")[0] for note in new}
  choices = any(item.candidates for item in read.items)
  assert new == {f"{split}: 1 {REPEATED}", f"{split}: 1 {_CHOICES if choices else CONTRADICTING}"}


def test_no_question_set_is_left_out(tmp_path: pathlib.Path) -> None:
  """MSRVTT-MC's reader refuses a video that is there twice."""
  for dataset in layouts.FILES:
    folder = tmp_path / dataset
    folder.mkdir()
    layouts.write(dataset, folder)
    items = annotations.read(dataset, folder).items
    asks = any(item.answer or item.candidates or item.count >= 0 for item in items)
    assert asks == (dataset in _ROWS or dataset == "msrvtt_mc")


def test_the_first_are_named_and_words_alone_count() -> None:
  rows = (("a", "Who runs?", "dog"), ("a", "who  runs?", "dog"), ("b", "Who runs?", "cat"),
          ("a", "WHO RUNS?", "cat"), ("a", "Who runs", "cat"))
  items = [TextItem(f"x{n}", video, "train", text, answer=answer)
           for n, (video, text, answer) in enumerate(rows)]
  assert repeat_notes(items) == (
      f"train: 1 {REPEATED} (x0 / x1)", f"train: 1 {CONTRADICTING} (x0 / x3)")


def test_candidates_in_another_order_are_a_repetition() -> None:
  items = [TextItem(f"x{n}", "v", "test", "what?", answer=shown[index], candidates=shown,
                    answer_index=index)
           for n, (shown, index) in enumerate(((("a", "b"), 0), (("b", "a"), 1), (("a", "c"), 0)))]
  assert repeat_notes(items) == (
      f"test: 1 {REPEATED} (x0 / x1)", f"test: 1 {_CHOICES} (x0 / x2)")


def test_captions_and_queries_may_be_repeated() -> None:
  items = [TextItem(f"x{n}", "v", "train", "a dog", moments=((0.0, float(n + 1)),))
           for n in range(3)]
  assert repeat_notes(items) == ()


@hypothesis.given(st.lists(st.tuples(*map(st.sampled_from, ("ab", "vw", "qr", "xyz")))))
def test_the_counts_are_those_of_a_plain_count(rows: list[tuple[str, ...]]) -> None:
  items = [TextItem(str(n), video, split, text, answer=answer)
           for n, (split, video, text, answer) in enumerate(rows)]
  expected = set()
  for split in "ab":
    asked = [row[1:] for row in rows if row[0] == split]
    several = {row[:2] for row in asked for other in asked
               if row[:2] == other[:2] and row != other}
    expected |= {f"{split}: {count} {what}" for count, what in (
        (len(asked) - len(set(asked)), REPEATED), (len(several), CONTRADICTING)) if count}
  assert {note.split(" (")[0] for note in repeat_notes(items)} == expected
