"""TGIF-QA: both layouts of its files, candidates, counts, and what may not be read."""

import pathlib

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Count
from mla_jax.errors import UserError
from tests.data.annotations import layouts

_ACTION = layouts.FILES["tgif_qa_action"]["Test_action_question.csv"]


def test_actions_have_candidates_and_an_answer(tmp_path: pathlib.Path) -> None:
  layouts.write("tgif_qa_action", tmp_path)
  read = annotations.read("tgif_qa_action", tmp_path)
  assert (read.family, read.task) == ("tgif", "qa_action")
  first, second, third = read.items
  assert (first.item_id, first.video_id, first.split) == ("train@ACTION1", "tumblr_a_250", "train")
  assert first.candidates == ("flick", "chew", "shake", "pat", "run")
  assert (first.answer_index, first.answer, first.count) == (2, "shake", -1)
  assert second.candidates[2] == 'say "no"'
  assert (third.split, third.answer) == ("test", "spin")
  assert read.videos[0].media_names == ("tumblr_a_250", "5")
  assert Count("test questions", 1, 2274) in read.counts


def test_counts_keep_their_raw_label(tmp_path: pathlib.Path) -> None:
  layouts.write("tgif_qa_count", tmp_path)
  read = annotations.read("tgif_qa_count", tmp_path)
  assert read.task == "qa_count"
  assert [(item.count, item.answer, item.candidates) for item in read.items] == [
      (0, "", ()), (10, "", ()), (3, "", ())]


def test_a_frames_description_is_not_read(tmp_path: pathlib.Path) -> None:
  layouts.write("tgif_qa_frameqa", tmp_path)
  read = annotations.read("tgif_qa_frameqa", tmp_path)
  assert [(item.question_type, item.answer) for item in read.items] == [
      ("object", "cookie"), ("number", "two"), ("color", "red"), ("location", "street")]
  assert "a cookie in a cone" not in repr(read)
  assert [video.video_id for video in read.videos] == [
      "tumblr_a_250", "tumblr_b_250", "tumblr_c_250"]
  assert Count("test questions: color", 1, 3904) in read.counts


@pytest.mark.parametrize("description", ['"a" car', '"a car', 'a 5" car', '"a car"', ""])
def test_a_quote_in_a_description_stops_nothing(tmp_path: pathlib.Path, description: str) -> None:
  name = "Test_frameqa_question.csv"
  text = layouts.FILES["tgif_qa_frameqa"][name]
  assert "\ta red car ." in text
  (tmp_path / name).write_text(text.replace("\ta red car .", f"\t{description}"), newline="")
  read = annotations.read("tgif_qa_frameqa", tmp_path)
  assert [item.answer for item in read.items] == ["red", "street"]
  for old, new, message in (
      ("\ta red car .", "", "row 2: has too few columns"),
      ("\ta red car .", "\tx\ty", "row 2: has too many columns"),
      ("what is", '"what is', "not a tab-separated table|a quote is not closed"),
  ):
    (tmp_path / name).write_text(text.replace(old, new), newline="")
    with pytest.raises(UserError, match=message):
      annotations.read("tgif_qa_frameqa", tmp_path)


def test_a_copy_without_types_is_not_compared_by_types(tmp_path: pathlib.Path) -> None:
  layouts.write("tgif_qa_frameqa", tmp_path)
  (tmp_path / "Test_frameqa_question.csv").unlink()
  (tmp_path / "test.csv").write_text(
      "video,width,height,question,answer,qid\n5,1,2,what is it,cookie,FRAMEQA1\n")
  read = annotations.read("tgif_qa_frameqa", tmp_path)
  names = [count.name for count in read.counts]
  assert "train questions: object" in names
  assert not [name for name in names if name.startswith("test questions:")]
  assert Count("test questions", 1, 13691) in read.counts


def test_hqgas_files_stand_in(tmp_path: pathlib.Path) -> None:
  (tmp_path / "train.csv").write_text(layouts.lines(
      ["video", "width", "height", "question", "a0", "a1", "a2", "a3", "a4", "answer", "qid"],
      [5, 196, 566, "what does she do", "flick", "sing", "chew", "shake", "pat", 2, "ACTION1"]))
  (tmp_path / "Test_action_question.csv").write_text(_ACTION)
  read = annotations.read("tgif_qa_action", tmp_path)
  assert [(i.item_id, i.video_id, i.answer) for i in read.items] == [
      ("train@ACTION1", "5", "chew"), ("test@ACTION4", "tumblr_c_250", "spin")]
  assert read.videos[0].media_names == ("5",)
  (tmp_path / "train.csv").write_text(
      "video,width,height,question,answer,qid\n5,1,2,what is it,cookie,FRAMEQA1\n")
  (tmp_path / "Test_action_question.csv").unlink()
  item = annotations.read("tgif_qa_frameqa", tmp_path).items[0]
  assert (item.answer, item.question_type) == ("cookie", "")


def test_the_rows_that_the_public_file_lacks_are_noted(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  from mla_jax.data.annotations import tgif_qa

  monkeypatch.setitem(tgif_qa._PUBLIC, "count", 2)
  layouts.write("tgif_qa_count", tmp_path)
  assert "train: 2 questions are all that the public file has: its README says 26,843" in (
      annotations.read("tgif_qa_count", tmp_path).notes)


@pytest.mark.parametrize(("task", "old", "new", "message"), [
    ("action", "\t4\tACTION4", "\t5\tACTION4", r"row 2: 'answer' is 5, not one of 0 to 4"),
    ("action", "\t4\tACTION4", "\t-1\tACTION4", r"row 2: 'answer' is -1, not one of 0 to 4"),
    ("action", "\t4\tACTION4", "\tspin\tACTION4", r"'answer' is 'spin', not a whole number"),
    ("action", "\t4\tACTION4", "\t4.0\tACTION4", r"'answer' is '4.0', not a whole number"),
    ("action", "\twave", "", r"row 2: has too few columns \(9, not 10\)"),
    ("action", "\twave", "\twave\tx", r"row 2: has too many columns \(11, not 10\)"),
    ("action", "\twave", "\t", r"row 2: 'a4' is empty"),
    ("action", "\twave", '\t"wave', r"not a tab-separated table \(unexpected end of data\)"),
    ("action", "tumblr_c_250", "a/b", r"id 'a/b' is not safe"),
    ("action", "\t", ",", r"its columns are separated by commas, not by tabs"),
    ("action", "a5", "a4", r"has no column 'a5'"),
    ("action", "key", "a4", r"has no column 'key'"),
    ("count", "\t3\t", "\t11\t", r"row 2: 'answer' is 11, not one of 0 to 10"),
    ("count", "\t3\t", "\tthree\t", r"'answer' is 'three', not a whole number"),
    ("frameqa", "\t2\tFRAMEQA3", "\t4\tFRAMEQA3", r"'type' is 4, not one of 0 to 3"),
    ("frameqa", "FRAMEQA4\t7", "FRAMEQA3\t7", r"question 'test@FRAMEQA3' is there twice"),
    ("frameqa", "FRAMEQA4\t7", "FRAMEQA4\t8", r"row 3: 'key' of 'tumblr_c_250' is '8' here and"),
])
def test_bad_rows(tmp_path: pathlib.Path, task: str, old: str, new: str, message: str) -> None:
  name = f"Test_{task}_question.csv"
  text = layouts.FILES[f"tgif_qa_{task}"][name]
  assert old in text
  (tmp_path / name).write_text(text.replace(old, new))
  with pytest.raises(UserError, match=message) as caught:
    annotations.read(f"tgif_qa_{task}", tmp_path)
  assert name in str(caught.value)


def test_a_file_of_another_task(tmp_path: pathlib.Path) -> None:
  text = layouts.FILES["tgif_qa_count"]["Test_count_question.csv"]
  (tmp_path / "Test_action_question.csv").write_text(text)
  with pytest.raises(UserError, match="has no column 'a1'"):
    annotations.read("tgif_qa_action", tmp_path)
