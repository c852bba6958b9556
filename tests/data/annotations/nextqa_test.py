"""NExT-QA, NExT-OE and NExT-GQA: ids, types, candidates, references and moments."""

import pathlib
import re

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Count
from mla_jax.errors import UserError
from tests.data.annotations import layouts, layouts_qa

_ROW = "4010069381,369,640,480,{question},{answer},6,CH,roll it,tap,strum,hit,pat\n"


def _write(directory: pathlib.Path, *rows: dict[str, str], header: str = layouts_qa.NEXT) -> None:
  filled = [_ROW.format(**({"question": "how", "answer": "0"} | row)) for row in rows]
  (directory / "val.csv").write_text(header + "".join(filled))


def test_multiple_choice(tmp_path: pathlib.Path) -> None:
  layouts.write("nextqa", tmp_path)
  read = annotations.read("nextqa", tmp_path)
  assert (read.family, read.task) == ("nextqa", "qa")
  _, play, before = read.items
  assert (play.item_id, play.video_id) == ("val@4010069381_6", "4010069381")
  assert play.candidates == ("roll it", "tap", "strum", "hit", "pat")
  assert (play.answer_index, play.answer, play.question_type) == (0, "roll it", "CH")
  assert before.candidates[0] == "sit, then run"
  assert before.question_type == "TN"  # TP in the file.
  assert Count("val questions: TP", 1, 54) in read.counts
  assert Count("val questions: CW", 0, 1924) in read.counts
  assert Count("val questions", 2, 4996) in read.counts
  assert read.videos[1].media_names == ("4010069381", "1106/4010069381")
  assert "val.csv: 1 questions of type TP count as TN, as in the official evaluation" in read.notes


def test_without_the_map_videos_have_one_name(tmp_path: pathlib.Path) -> None:
  layouts.write("nextqa", tmp_path)
  (tmp_path / "map_vid_vidorID.json").unlink()
  read = annotations.read("nextqa", tmp_path)
  assert read.videos[0].media_names == ("2435100235",)
  assert "map_vid_vidorID.json: not there: videos are looked up by their own name alone" in (
      read.notes)


def test_answers_may_be_texts_in_nextgqas_copy(tmp_path: pathlib.Path) -> None:
  header = layouts_qa.NEXT.replace("video,", "video_id,")
  _write(tmp_path, {"answer": "strum"}, header=header)
  item = annotations.read("nextqa", tmp_path).items[0]
  assert (item.answer_index, item.answer) == (2, "strum")
  _write(tmp_path, {"answer": "2"}, header=header)
  with pytest.raises(UserError, match="'answer' is '2', not one of its candidates"):
    annotations.read("nextqa", tmp_path)


def test_equal_candidates_are_counted(tmp_path: pathlib.Path) -> None:
  row = _ROW.format(question="how", answer="tap").replace("strum", "tap")
  (tmp_path / "val.csv").write_text(layouts_qa.NEXT.replace("video,", "video_id,") + row)
  read = annotations.read("nextqa", tmp_path)
  assert read.items[0].answer_index == 1
  assert {"val.csv: 1 questions show the same candidate twice: kept as they are",
          "val.csv: 1 answers stand for two candidates: either is right"} <= set(read.notes)
  assert read.items[0].references == ("tap",)
  # An index names one of them, as in the official evaluation of such files.
  (tmp_path / "val.csv").write_text(layouts_qa.NEXT + row.replace(",tap,6", ",2,6", 1))
  item = annotations.read("nextqa", tmp_path).items[0]
  assert (item.answer_index, item.answer, item.references) == (2, "tap", ())


@pytest.mark.parametrize(("rows", "message"), [
    ([{"answer": "5"}], r"row 2: 'answer' is 5, not one of 0 to 4"),
    ([{"answer": "-1"}], r"row 2: 'answer' is -1, not one of 0 to 4"),
    ([{"answer": "roll it"}], r"row 2: 'answer' is 'roll it', not a whole number"),
    ([{"question": " "}], r"row 2: 'question' is empty"),
    ([{"question": "how, then"}], r"row 2: has too many columns \(14, not 13\)"),
    ([{}, {}], r"row 3: question 'how' is there twice: take one out"),
    ([{}, {"answer": "1"}], r"row 3: question 'how' is there twice, with two answers: take one"),
    ([], r"split val has no question"),
])
def test_bad_rows(tmp_path: pathlib.Path, rows: list[dict[str, str]], message: str) -> None:
  _write(tmp_path, *rows)
  with pytest.raises(UserError, match=message):
    annotations.read("nextqa", tmp_path)


@pytest.mark.parametrize(("old", "new", "message"), [
    (",", "\t", r"its columns are separated by tabs, not by commas"),
    ("CH", "XX", r"'type' is 'XX', not one of CW, CH"),
    (",6,", ",six,", r"'qid' is 'six', not a whole number"),
    ("4010069381", "a/b", r"id 'a/b' is not safe"),
    ("a4", "a3", r"has no column 'a4'"),
    ("tap", '"tap', r"not a comma-separated table \(unexpected end of data\)"),
])
def test_bad_tables(tmp_path: pathlib.Path, old: str, new: str, message: str) -> None:
  _write(tmp_path, {})
  path = tmp_path / "val.csv"
  path.write_text(path.read_text().replace(old, new))
  with pytest.raises(UserError, match=message):
    annotations.read("nextqa", tmp_path)


@pytest.mark.parametrize(("content", "message"), [
    ('{"1": "a"}', r"'1' is 'a', not 'folder/name'"),
    ('{"1": "../a"}', r"id '..' is not safe"),
    ('{"1": "a/b/c"}', r"not 'folder/name'"),
    ('{"1": 7}', r"'1' is 7, not text"),
])
def test_a_bad_map(tmp_path: pathlib.Path, content: str, message: str) -> None:
  layouts.write("nextqa", tmp_path)
  (tmp_path / "map_vid_vidorID.json").write_text(content)
  with pytest.raises(UserError, match=message):
    annotations.read("nextqa", tmp_path)


def test_open_ended(tmp_path: pathlib.Path) -> None:
  layouts.write("nextqa_oe", tmp_path)
  read = annotations.read("nextqa_oe", tmp_path)
  assert (read.family, read.task) == ("nextqa", "oe")
  assert [(item.item_id, item.answer, item.references) for item in read.items] == [
      ("train@2435100235_1", "yes", ()),
      ("train@2435100235_1@2", "crawl", ()),  # Another question with the same id.
      ("test@4010069381_2", "room", ("home",))]
  assert all(item.candidates == () and item.answer_index == -1 for item in read.items)
  assert ("train.csv: 1 questions have the id of another one: kept under an id of their own "
          "(2435100235_1)" in read.notes)


def test_open_ended_files_are_not_those_of_multiple_choice(tmp_path: pathlib.Path) -> None:
  layouts.write("nextqa", tmp_path)
  with pytest.raises(UserError, match="it is a file of NExT-QA's multiple choice"):
    annotations.read("nextqa_oe", tmp_path)
  layouts.write("nextqa_oe", tmp_path)
  with pytest.raises(UserError, match="has no column 'a0'"):
    annotations.read("nextqa", tmp_path)


def test_a_reference_of_no_question(tmp_path: pathlib.Path) -> None:
  layouts.write("nextqa_oe", tmp_path)
  (tmp_path / "add_reference_answer_test.json").write_text('{"4010069381": {"3": "home"}}')
  with pytest.raises(UserError, match=r"'3' is no question of test.csv"):
    annotations.read("nextqa_oe", tmp_path)


def test_grounded_questions_have_moments_and_no_timed_segments(tmp_path: pathlib.Path) -> None:
  layouts.write("nextgqa", tmp_path)
  read = annotations.read("nextgqa", tmp_path)
  assert (read.family, read.task) == ("nextqa", "gqa")
  first, second = read.items
  assert (first.answer_index, first.answer) == (2, "red light")
  assert first.moments == ((1.2, 5.8),)
  assert second.moments == ((12.1, 17.1), (30.0, 35.5))  # Of a video of 34 s: not clipped.
  assert [item.duration for item in read.items] == [34.0, 34.0]
  assert all(item.segments == () for item in read.items)
  assert ("gsub_val.json: 1 moments reach beyond [0, duration]: kept as they are, as the official "
          "evaluation has them") in read.notes


def test_moments_beyond_the_video_stay_as_they_are(tmp_path: pathlib.Path) -> None:
  layouts.write("nextgqa", tmp_path)
  (tmp_path / "gsub_val.json").write_text(
      '{"4010069381": {"duration": 34, "location": {"1": [[-0.5, 3], [40, 50]]}}}')
  assert annotations.read("nextgqa", tmp_path).items[0].moments == ((-0.5, 3.0), (40.0, 50.0))


@pytest.mark.parametrize(("location", "note"), [
    ('{"1": [[5, 5], [6, 7]]}', r"1 moments had an end that is not after their start: left out "
                                r"\(4010069381_1 5-5\)"),
    ('{"1": [[40, 50], [-0.5, 3]]}', r"2 moments reach beyond \[0, duration\]: kept as they are"),
    ('{"1": []}', r"2 questions have no moment \(val@4010069381_1, val@4010069381_3\)"),
    ('{"9": [[1, 2]]}', r"1 questions have moments and are not there: left out \(4010069381_9\)"),
])
def test_odd_moments_are_listed(tmp_path: pathlib.Path, location: str, note: str) -> None:
  layouts.write("nextgqa", tmp_path)
  (tmp_path / "gsub_val.json").write_text(
      f'{{"4010069381": {{"duration": 34, "location": {location}}}}}')
  notes = "\n".join(annotations.read("nextgqa", tmp_path).notes)
  assert re.search(note, notes)


@pytest.mark.parametrize(("record", "message"), [
    ('{"duration": 34, "location": {"1": [[1]]}}', r"are \[1\], not \[start, end\]"),
    ('{"duration": 34, "location": {"1": [[1, NaN]]}}', r"is nan, not a finite number"),
    ('{"duration": 0, "location": {}}', r"'duration' is 0, not above 0"),
    ('{"duration": 34}', r"has no 'location'"),
])
def test_malformed_moments(tmp_path: pathlib.Path, record: str, message: str) -> None:
  layouts.write("nextgqa", tmp_path)
  (tmp_path / "gsub_val.json").write_text(f'{{"4010069381": {record}}}')
  with pytest.raises(UserError, match=message):
    annotations.read("nextgqa", tmp_path)
  (tmp_path / "gsub_val.json").unlink()
  with pytest.raises(UserError, match=r"has no gsub_val.json"):
    annotations.read("nextgqa", tmp_path)
