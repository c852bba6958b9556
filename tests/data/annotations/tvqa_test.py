"""TVQA and TVQA+: their types of values, time stamps, hidden answers and subtitles."""

import pathlib
from typing import Any

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Count, Subtitle
from mla_jax.errors import UserError
from tests.data.annotations import layouts, layouts_qa

_TRAIN = "tvqa_train.jsonl"
_SUBTITLES = "tvqa_preprocessed_subtitles.jsonl"


def _write(directory: pathlib.Path, **change: Any) -> None:
  layouts.write_files({_TRAIN: [layouts_qa.TVQA | change]}, directory)


def test_questions(tmp_path: pathlib.Path) -> None:
  layouts.write("tvqa", tmp_path)
  read = annotations.read("tvqa", tmp_path)
  assert (read.family, read.task) == ("tvqa", "qa")
  first, empty, held_out, hidden = read.items
  assert first.candidates == (
      "A martini glass", "Nachos", "Her purse", "Marshall's book", "A beer bottle")
  assert (first.answer_index, first.answer, first.question_type) == (4, "A beer bottle", "what")
  assert first.moments == ((1.21, 8.49),)
  assert first.subtitles == (Subtitle("Ted : Hi.", 0.5, 1.25), Subtitle("Robin : What?", 4.0, 4.0))
  assert (empty.moments, held_out.moments) == ((), ((0.0, 12.5),))
  assert (hidden.split, hidden.answer, hidden.answer_index, hidden.moments) == (
      "test_public", "", -1, ())
  assert [video.media_names for video in read.videos] == [
      ("met_s06e22_seg01_clip_02", "met_frames/met_s06e22_seg01_clip_02"),
      ("s03e21_seg02_clip_08", "bbt_frames/s03e21_seg02_clip_08")]
  assert Count("val questions", 1, 15253) in read.counts
  assert "form to be signed" in read.licence
  assert {
      f"{_SUBTITLES}: 1 subtitles are empty: left out",
      f"{_SUBTITLES}: 1 subtitles end before they start: ended at their start",
      f"{_TRAIN}: 1 questions had an end that is not after their start: kept without a moment "
      "(train@8 5-5)",
      "tvqa_test_public.jsonl: 1 questions have no times (nan-nan): kept without a moment "
      "(test_public@9)",
  } <= set(read.notes)


def test_the_plus_files_have_texts_for_numbers(tmp_path: pathlib.Path) -> None:
  layouts.write("tvqa_plus", tmp_path)
  read = annotations.read("tvqa_plus", tmp_path)
  assert (read.family, read.task) == ("tvqa", "qa_plus")
  assert [(item.split, item.answer_index) for item in read.items] == [
      ("train", 3), ("val", 1), ("test", -1)]
  assert read.items[0].moments == ((0.0, 5.4),)
  assert read.items[0].subtitles


@pytest.mark.parametrize(("times", "moments"), [
    ("0-5", ((0.0, 5.0),)), (" 1.5 - 2 ", ((1.5, 2.0),)), ([1, 2.5], ((1.0, 2.5),)),
    ("nan-nan", ()), ("NaN-NaN", ()), ([float("nan")] * 2, ()), ("7-3", ()), ([4, 4], ()),
])
def test_time_stamps(
    tmp_path: pathlib.Path, times: Any, moments: tuple[tuple[float, float], ...]
) -> None:
  _write(tmp_path, ts=times)
  read = annotations.read("tvqa", tmp_path)
  assert read.items[0].moments == moments
  assert moments or any("kept without a moment (train@7" in note for note in read.notes)


@pytest.mark.parametrize(("change", "message"), [
    ({"ts": "nan-5"}, r"'ts' is 'nan-5', half of it unknown"),
    ({"ts": [float("nan"), 5]}, r"'ts' is \[nan, 5\], half of it unknown"),
    ({"ts": "5"}, r"'ts' is '5', not 'start-end'"),
    ({"ts": "-5-7"}, r"'ts' is '-5-7', not 'start-end'"),
    ({"ts": "1e5-1e6"}, r"not 'start-end'"),
    ({"ts": [1]}, r"'ts' are \[1\], not \[start, end\]"),
    ({"ts": ["1", "2"]}, r"'ts' is '1', not a finite number"),
    ({"ts": [float("inf"), 3]}, r"'ts' is inf, not a finite number"),
    ({"answer_idx": 5}, r"'answer_idx' is 5, not one of 0 to 4"),
    ({"answer_idx": -1}, r"'answer_idx' is -1, not one of 0 to 4"),
    ({"answer_idx": "4"}, r"'answer_idx' is '4', not a whole number"),
    ({"answer_idx": 1.0}, r"'answer_idx' is 1.0, not a whole number"),
    ({"qid": "7"}, r"'qid' is '7', not a whole number"),
    ({"q": ""}, r"'q' is empty"),
    ({"a2": None}, r"'a2' is None, not text"),
    ({"vid_name": "../x"}, r"id '../x' is not safe"),
])
def test_bad_entries(tmp_path: pathlib.Path, change: dict[str, Any], message: str) -> None:
  _write(tmp_path, **change)
  with pytest.raises(UserError, match=message) as caught:
    annotations.read("tvqa", tmp_path)
  assert f"{_TRAIN}: line 1" in str(caught.value)


def test_missing_keys_and_repeated_questions(tmp_path: pathlib.Path) -> None:
  for key in ("answer_idx", "ts", "a4"):
    entry = {k: v for k, v in layouts_qa.TVQA.items() if k != key}
    layouts.write_files({_TRAIN: [entry]}, tmp_path)
    with pytest.raises(UserError, match=f"'{key}'"):
      annotations.read("tvqa", tmp_path)
  layouts.write_files({_TRAIN: [layouts_qa.TVQA, layouts_qa.TVQA | {"answer_idx": 1}]}, tmp_path)
  with pytest.raises(UserError, match="question 'train@7' is there twice"):
    annotations.read("tvqa", tmp_path)


def test_a_line_that_is_cut_short(tmp_path: pathlib.Path) -> None:
  layouts.write("tvqa", tmp_path)
  path = tmp_path / _TRAIN
  path.write_text(path.read_text()[:-20])
  with pytest.raises(UserError, match=rf"{_TRAIN}: line 2: not JSON .* perhaps cut short"):
    annotations.read("tvqa", tmp_path)


@pytest.mark.parametrize(("content", "message"), [
    ("", r"has no subtitle"),
    ('{"vid_name": "a", "sub": []}', r"has no subtitle:"),
    ('{"vid_name": "a", "sub": [{"text": "x", "start": 0, "end": 1}]}',
     r"has no subtitle of any of the 1 videos asked about"),
    ('{"vid_name": "a", "sub": [{"text": "x", "start": "0", "end": 1}]}', r"'start' is '0'"),
    ('{"vid_name": "a", "sub": [{"text": 3, "start": 0, "end": 1}]}', r"'text' is 3, not text"),
    ('{"vid_name": "a"}', r"has no 'sub'"),
    ('{"vid_name": "a", "sub": []}\n{"vid_name": "a", "sub": []}', r"video 'a' is there twice"),
])
def test_subtitles_that_are_of_no_use_are_refused(
    tmp_path: pathlib.Path, content: str, message: str
) -> None:
  _write(tmp_path)
  (tmp_path / _SUBTITLES).write_text(content)
  with pytest.raises(UserError, match=message):
    annotations.read("tvqa", tmp_path)


def test_without_subtitles_a_note_says_so(tmp_path: pathlib.Path) -> None:
  _write(tmp_path)
  read = annotations.read("tvqa", tmp_path)
  assert f"{_SUBTITLES}: not there: the questions have no subtitles" in read.notes
  layouts.write_files({"tv_subtitles.jsonl": layouts_qa.SUBTITLES}, tmp_path)
  assert annotations.read("tvqa", tmp_path).items[0].subtitles


def _plus(directory: pathlib.Path, subtitles: Any, **change: Any) -> None:
  entry = layouts_qa.TVQA_PLUS | {"vid_name": "s01e01_seg01_clip_00"} | change
  layouts.write_files({
      "tvqa_plus_train.json": [entry], "tvqa_plus_subtitles.json": subtitles,
      # TVQA's own are for where TVQA+'s are not.
      _SUBTITLES: [{"vid_name": "s01e01_seg01_clip_00", "sub": [
          {"text": "not this", "start": 0, "end": 1}]}]}, directory)


def test_the_plus_files_have_subtitles_of_their_own(tmp_path: pathlib.Path) -> None:
  _plus(tmp_path, {
      "s01e01_seg01_clip_00": {
          "sub_text": "penny : hi there . <eos>  <eos> leonard : bye <eos>no . <eos> oh",
          "sub_time": [0.5, 2.25, 3.0, 2.5]},
      "s01e01_seg01_clip_01": {"sub_text": "", "sub_time": []}})
  read = annotations.read("tvqa_plus", tmp_path)
  assert read.items[0].subtitles == (
      Subtitle("penny : hi there .", 0.5, 2.25),
      Subtitle("leonard : bye <eos>no .", 3.0, 3.0), Subtitle("oh", 2.5, 1e6))
  assert {
      "tvqa_plus_subtitles.json: 1 subtitles are empty: left out",
      "tvqa_plus_subtitles.json: 1 subtitles end before they start: ended at their start",
  } <= set(read.notes)


@pytest.mark.parametrize(("entry", "message"), [
    ({"sub_text": "a <eos> b", "sub_time": [1.0]}, "has 2 lines between '<eos>' and .* 1 times"),
    ({"sub_text": "", "sub_time": [1.0]}, "has 0 lines between '<eos>' and .* 1 times"),
    ({"sub_text": "a", "sub_time": ["1"]}, "'sub_time' is '1', not a finite number"),
    ({"sub_text": ["a"], "sub_time": [1.0]}, "'sub_text' is .*not text"),
    ({"sub_text": "a"}, "has no 'sub_time'"),
    (["a"], "not an object"),
])
def test_plus_subtitles_of_no_use_are_refused(
    tmp_path: pathlib.Path, entry: Any, message: str
) -> None:
  _plus(tmp_path, {"s01e01_seg01_clip_00": entry})
  with pytest.raises(UserError, match=message) as caught:
    annotations.read("tvqa_plus", tmp_path)
  assert "tvqa_plus_subtitles.json: 's01e01_seg01_clip_00'" in str(caught.value)


def test_preprocessed_files_and_a_test_split_without_moments(tmp_path: pathlib.Path) -> None:
  hidden = {k: v for k, v in layouts_qa.TVQA_PLUS.items() if k not in ("ts", "answer_idx", "bbox")}
  layouts.write_files({
      "tvqa_plus_train_preprocessed.json": [layouts_qa.TVQA_PLUS | {"q_len": 7}],
      "tvqa_plus_valid_preprocessed.json": [layouts_qa.TVQA_PLUS | {"qid": 8}],
      "tvqa_plus_test_preprocessed_no_anno.json": [hidden, hidden | {"qid": 9}],
  }, tmp_path)
  read = annotations.read("tvqa_plus", tmp_path)
  assert [(item.split, item.answer_index, len(item.moments)) for item in read.items] == [
      ("train", 3, 1), ("val", 3, 1), ("test", -1, 0), ("test", -1, 0)]
  assert ("tvqa_plus_test_preprocessed_no_anno.json: 2 questions have no 'ts': their moments are "
          "hidden") in read.notes
  # In a split whose answers are known a missing moment is a damaged entry.
  layouts.write_files({"tvqa_plus_valid_preprocessed.json": [hidden | {"answer_idx": "1"}]},
                      tmp_path)
  with pytest.raises(UserError, match="has no 'ts'"):
    annotations.read("tvqa_plus", tmp_path)
