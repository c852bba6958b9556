"""How2QA: two releases, an order of the candidates that tells nothing, clips of a minute."""

import collections
import json
import pathlib
from typing import Any

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Count, Subtitle
from mla_jax.errors import UserError
from tests.data.annotations import layouts, layouts_qa

_NAME = "how2QA_train_release.csv"


def _value(directory: pathlib.Path, **change: Any) -> None:
  files = dict(layouts_qa.HOW2QA_VALUE)
  name = "how2qa_train_release.jsonl"
  files[name] = [files[name][0] | change, *files[name][1:]]
  layouts.write_files(files, directory)


def test_the_first_release(tmp_path: pathlib.Path) -> None:
  layouts.write("how2qa", tmp_path)
  read = annotations.read("how2qa", tmp_path)
  assert (read.family, read.task) == ("how2qa", "qa")
  first, second, held_out = read.items
  assert first.text == "What colour, then, is it?"
  assert sorted(first.candidates) == ["blue", "green", "red", "white"]
  assert (first.answer, first.candidates[first.answer_index]) == ("white", "white")
  assert (first.video_id, first.moments) == ("inUvyZl_hjA_180_240", ((10.5, 21.0),))
  assert (second.video_id, second.moments) == ("AhVbBlMtsp4_0_60", ((59.0, 60.0),))  # Clipped.
  assert (held_out.split, held_out.video_id) == ("val", "inUvyZl_hjB_180_240")
  video = read.videos[0]
  assert video.media_names == ("inUvyZl_hjA_180_240",)
  assert (video.source_names, video.source_span) == (("inUvyZl_hjA",), (180.0, 240.0))
  assert Count("train questions", 2, 35405) in read.counts
  assert "how2_subtitles.jsonl: not there: the questions have no subtitles" in read.notes
  assert "how2QA_test_public_release.csv: not there: no split test_public" in read.notes


def test_the_first_releases_test_split_has_answers(tmp_path: pathlib.Path) -> None:
  """As released: without a line of names."""
  (tmp_path / "how2QA_test_public_release.csv").write_text(
      'abc,[67.57:95.13],"one, two",three,four,"Which, then?",five\n')
  (item,) = annotations.read("how2qa", tmp_path).items
  assert (item.split, item.answer, item.video_id) == ("test_public", "five", "abc_60_120")
  assert sorted(item.candidates) == ["five", "four", "one, two", "three"]


def test_the_place_of_the_answer_tells_nothing_and_is_always_the_same(
    tmp_path: pathlib.Path
) -> None:
  """The right candidate is always the last column; each place gets a fair share of 4,000."""
  rows = [f"vid{n % 50},[{n}:{n + 2}],red,blue,green,which is it {n}?,white\n" for n in range(4000)]
  (tmp_path / _NAME).write_text(layouts_qa.HOW2QA + "".join(rows))
  read = annotations.read("how2qa", tmp_path)
  places = collections.Counter(item.answer_index for item in read.items)
  assert set(places) == {0, 1, 2, 3}
  assert all(abs(count - 1000) < 5 * 27.4 for count in places.values())  # Five deviations.
  order = {item.text: item.candidates for item in read.items}
  assert len(set(order.values())) == 24
  # Neither the order of the rows nor that of the columns matters.
  (tmp_path / _NAME).write_text(layouts_qa.HOW2QA + "".join(
      row.replace("red,blue,green", "green,red,blue") for row in reversed(rows)))
  assert {i.text: i.candidates for i in annotations.read("how2qa", tmp_path).items} == order


def test_a_file_without_a_header_loses_no_question(tmp_path: pathlib.Path) -> None:
  row = "vid,[1:2],red,blue,green,which?,white\n"
  (tmp_path / _NAME).write_text(row + row.replace("which", "what"))
  read = annotations.read("how2qa", tmp_path)
  assert [item.text for item in read.items] == ["which?", "what?"]
  assert f"{_NAME}: 1 first lines are no header: read as a question" in read.notes


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("abc,[1:5,red,blue,green,what is it?,white", r"row 1: the second column is '\[1:5', not"),
        ("abc,1:5],red,blue,green,what is it?,white", r"row 1: the second column is '1:5\]', not"),
        ("vid_id,timesteps", r"row 1: has too few columns \(2, not 7\)"),
    ],
)
def test_a_damaged_first_row_is_no_header(tmp_path: pathlib.Path, first: str, said: str) -> None:
  rows = f"{first}\nabd,[2:6],red,blue,green,which is it?,white\n"
  (tmp_path / _NAME).write_text(rows)
  with pytest.raises(UserError, match=said):
    annotations.read("how2qa", tmp_path)


def test_what_was_taken_for_a_header_is_told(tmp_path: pathlib.Path) -> None:
  layouts.write("how2qa", tmp_path)
  notes = annotations.read("how2qa", tmp_path).notes
  assert any("taken for names of columns" in note and "start_end" in note for note in notes)


def test_repeated_questions_are_listed(tmp_path: pathlib.Path) -> None:
  row = "vid,[1:2],red,blue,green,which?,white\n"
  (tmp_path / _NAME).write_text(
      layouts_qa.HOW2QA + row + row + row.replace("white", "black"))
  read = annotations.read("how2qa", tmp_path)
  assert len(read.items) == 3
  assert ("train: 1 questions repeat one about the same video, with the same answer: kept as they "
          "are (train@0 / train@1)" in read.notes)
  assert ("train: 1 questions are asked again about the same video, with another answer or other "
          "candidates: kept as they are (train@0 / train@2)" in read.notes)


def test_values_release(tmp_path: pathlib.Path) -> None:
  _value(tmp_path)
  read = annotations.read("how2qa", tmp_path)
  first, unmapped, hidden = read.items
  assert (first.item_id, first.video_id) == ("train@1", "inUvyZl_hjA_180_240")
  assert first.candidates == ("red", "blue", "green", "white")  # As they stand.
  assert (first.answer_index, first.moments) == (3, ((10.5, 21.0),))
  assert first.subtitles == (Subtitle("so now", 1.0, 2.5),)
  assert (unmapped.video_id, unmapped.subtitles) == ("77", ())
  assert (hidden.split, hidden.answer, hidden.answer_index) == ("test_public", "", -1)
  assert Count("train questions", 2, 34187) in read.counts
  assert ("how2qa_train_release.jsonl: 1 questions are of a video that how2_vid_mapping.json does "
          "not name: kept under its number" in read.notes)
  assert "2 of 3 videos have no subtitles" in read.notes


def test_both_releases_are_not_mixed(tmp_path: pathlib.Path) -> None:
  layouts.write("how2qa", tmp_path)
  _value(tmp_path)
  with pytest.raises(UserError, match="has files of both releases"):
    annotations.read("how2qa", tmp_path)


@pytest.mark.parametrize(("row", "message"), [
    ("vid,[1:2],red,blue,green,which?\n", r"row 2: has too few columns \(6, not 7\)"),
    ("vid,[1:2],red,blue,green,which, then?,white\n", r"row 2: has too many columns \(8, not 7\)"),
    ("vid,1:2,red,blue,green,which?,white\n", r"row 2: the second column is '1:2', not"),
    ("vid,[nan:nan],red,blue,green,which?,white\n", r"'\[nan:nan\]', not '\[start:end\]'"),
    ("vid,[1.2.3:4],red,blue,green,which?,white\n", r"is '1.2.3', not a number of seconds"),
    ("../v,[1:2],red,blue,green,which?,white\n", r"id '../v_0_60' is not safe"),
    ("vid,[1:2],,blue,green,which?,white\n", r"row 2: 'a2' is empty"),
    ("vid\t[1:2]\tred\tblue\tgreen\twhich?\twhite\n", r"row 2: has too few columns \(1, not 7\)"),
    ("", r"split train has no question"),
])
def test_bad_rows_of_the_first_release(tmp_path: pathlib.Path, row: str, message: str) -> None:
  (tmp_path / _NAME).write_text(layouts_qa.HOW2QA + row)
  with pytest.raises(UserError, match=message):
    annotations.read("how2qa", tmp_path)


def test_an_end_before_its_start_is_listed(tmp_path: pathlib.Path) -> None:
  (tmp_path / _NAME).write_text(layouts_qa.HOW2QA + "vid,[70:65],red,blue,green,which?,white\n")
  read = annotations.read("how2qa", tmp_path)
  assert read.items[0].moments == ()
  assert (f"{_NAME}: 1 questions had an end that is not after their start: kept without a moment "
          "(train@0 70-65)" in read.notes)


@pytest.mark.parametrize(("change", "message"), [
    ({"answer_idx": 4}, r"'answer_idx' is 4, not one of 0 to 3"),
    ({"answer_idx": "3"}, r"'answer_idx' is '3', not a whole number"),
    ({"answer_idx": None}, r"'answer_idx' is None, not a whole number"),
    ({"answer_idx": True}, r"'answer_idx' is True, not a whole number"),
    ({"qid": 2}, r"question 'train@2' is there twice"),
    ({"a3": 7}, r"'a3' is 7, not text"),
    ({"ts": "10.5"}, r"'ts' is '10.5', not 'start-end'"),
    ({"ts": 3}, r"'ts' is 3, not a list"),
    ({"vid_name": None}, r"'vid_name' is None, not a whole number"),
    ({"vid_name": "a/b"}, r"id 'a/b' is not safe"),
])
def test_bad_entries_of_values_release(
    tmp_path: pathlib.Path, change: dict[str, Any], message: str
) -> None:
  _value(tmp_path, **change)
  with pytest.raises(UserError, match=message) as caught:
    annotations.read("how2qa", tmp_path)
  assert "how2qa_train_release.jsonl: line " in str(caught.value) or "twice" in message


def test_a_bad_map(tmp_path: pathlib.Path) -> None:
  _value(tmp_path)
  (tmp_path / "how2_vid_mapping.json").write_text(json.dumps({"0": "../x"}))
  with pytest.raises(UserError, match=r"'0': id '../x' is not safe"):
    annotations.read("how2qa", tmp_path)
