"""ActivityNet Captions as paragraphs and as queries, and ActivityNet-QA: one family of videos."""

import math
import pathlib
from typing import Any

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Count, Segment
from mla_jax.errors import UserError
from tests.data.annotations import layouts, layouts_moments


def test_paragraphs(tmp_path: pathlib.Path) -> None:
  layouts.write("activitynet_retrieval", tmp_path)
  read = annotations.read("activitynet_retrieval", tmp_path)
  assert (read.family, read.task) == ("activitynet", "retrieval")
  assert [item.item_id for item in read.items] == [
      "v_QOlSCBRmfWY@train", "v_ehGHCYKzyZ8@train", "v_uqiMw7tQ1Cc@val_1", "v_uqiMw7tQ1Cc@val_2"]
  first, second = read.items[:2]
  assert first.text == "A woman stands. She dances around."
  assert first.segments == (Segment(0, 15, 0.83, 19.86), Segment(16, 34, 17.37, 82.73))
  assert math.isnan(second.segments[0].start_time)
  assert second.text == "The video starts. It ends."
  assert all(item.moments == () for item in read.items)
  assert len(read.videos) == 3
  assert Count("val_1 sentences", 1, 17505) in read.counts


def test_queries(tmp_path: pathlib.Path) -> None:
  layouts.write("activitynet_localisation", tmp_path)
  read = annotations.read("activitynet_localisation", tmp_path)
  assert (read.family, read.task) == ("activitynet", "localisation")
  assert [(item.item_id, item.moments) for item in read.items] == [
      ("v_QOlSCBRmfWY@train@0", ((0.83, 19.86),)), ("v_QOlSCBRmfWY@train@1", ((17.37, 82.73),)),
      ("v_ehGHCYKzyZ8@train@1", ((1.0, 61.72),)), ("v_uqiMw7tQ1Cc@val_1@0", ((0.28, 55.15),)),
      ("v_uqiMw7tQ1Cc@val_2@0", ((0.0, 4.14),))]
  assert read.items[1].text == "She dances around."
  assert read.items[1].segments == (Segment(0, 18, 17.37, 82.73),)
  assert [item.duration for item in read.items] == [82.73, 82.73, 61.72, 55.15, 55.15]
  assert ("train.json: 1 sentences had an end that is not after their start: left out "
          "(v_ehGHCYKzyZ8 0: 5-4)" in read.notes)
  assert Count("train sentences", 4, 37421) in read.counts  # As many as the file has.


def test_2d_tans_names(tmp_path: pathlib.Path) -> None:
  files = layouts_moments.ACTIVITYNET
  layouts.write_files({"val.json": files["val_1.json"], "test.json": files["val_2.json"]}, tmp_path)
  read = annotations.read("activitynet_retrieval", tmp_path)
  assert [item.split for item in read.items] == ["val_1", "val_2"]
  assert "train.json: not there: no split train" in read.notes


def test_questions_name_the_same_videos(tmp_path: pathlib.Path) -> None:
  layouts.write("activitynet_qa", tmp_path)
  read = annotations.read("activitynet_qa", tmp_path)
  assert (read.family, read.task) == ("activitynet", "qa")
  assert [(i.item_id, i.video_id, i.answer, i.question_type) for i in read.items] == [
      ("train@v_okC18bPTils_3", "v_okC18bPTils", "no", "yes_no"),
      ("train@v_okC18bPTils_4", "v_okC18bPTils", "outdoor", "location"),
      ("test@v_v_iQUIV7WYK_1", "v_v_iQUIV7WYK", "dog", "motion")]
  assert read.videos[1].media_names == ("v_v_iQUIV7WYK", "v_iQUIV7WYK")
  assert Count("test questions: yes_no", 0, 2094) in read.counts
  assert Count("test questions", 1, 8000) in read.counts
  layouts.write("activitynet_retrieval", tmp_path)
  captions = annotations.read("activitynet_retrieval", tmp_path)
  assert captions.videos[0].media_names == ("v_QOlSCBRmfWY", "QOlSCBRmfWY")


def test_a_video_with_two_durations(tmp_path: pathlib.Path) -> None:
  layouts.write("activitynet_retrieval", tmp_path)
  layouts.dump(tmp_path / "val_2.json", {
      "v_uqiMw7tQ1Cc": {"duration": 55.0, "timestamps": [[0, 4]], "sentences": ["Two men."]}})
  with pytest.raises(UserError, match=r"val_2.json: the duration of 'v_uqiMw7tQ1Cc' is 55.0 here"):
    annotations.read("activitynet_retrieval", tmp_path)


def test_a_video_without_sentences_is_listed(tmp_path: pathlib.Path) -> None:
  record: dict[str, Any] = {"duration": 5.0, "timestamps": [], "sentences": []}
  layouts.dump(tmp_path / "train.json", layouts_moments.ACTIVITYNET["train.json"] | {"v_x": record})
  read = annotations.read("activitynet_retrieval", tmp_path)
  assert "train.json: 1 videos have no sentence: no text (v_x)" in read.notes
  assert "v_x" in {video.video_id for video in read.videos}
  layouts.dump(tmp_path / "train.json", {"v_x": record})
  with pytest.raises(UserError, match="has no sentence"):
    annotations.read("activitynet_localisation", tmp_path)


_QUESTION = {"video_name": "abc", "question": "what", "question_id": "v_abc_1"}
_ANSWER = {"answer": "dog", "type": 0, "question_id": "v_abc_1"}


@pytest.mark.parametrize(("questions", "answers", "message"), [
    ([_QUESTION], [], r"entry 0: question 'v_abc_1' has no answer in val_a.json"),
    ([], [_ANSWER], r"has no question for 1 answers of val_a.json \('v_abc_1'\)"),
    ([], [], r"split val has no question"),
    ([_QUESTION, _QUESTION], [_ANSWER], r"val_q.json: question 'v_abc_1' is there twice"),
    ([_QUESTION], [_ANSWER, _ANSWER | {"answer": "cat"}],
     r"val_a.json: question 'v_abc_1' is there twice"),
    ([_QUESTION], [_ANSWER | {"type": 9}], r"'type' is 9, not one of 0 to 8"),
    ([_QUESTION], [_ANSWER | {"type": "0"}], r"'type' is '0', not a whole number"),
    ([_QUESTION], [_ANSWER | {"answer": ""}], r"val_a.json: entry 0: 'answer' is empty"),
    ([_QUESTION | {"video_name": "../a"}], [_ANSWER], r"id 'v_../a' is not safe"),
    ([_QUESTION | {"question": 3}], [_ANSWER], r"'question' is 3, not text"),
    ([_ANSWER], [_ANSWER], r"val_q.json: entry 0: has no 'question'"),
    ([_QUESTION], [_QUESTION], r"val_a.json: entry 0: has no 'answer'"),
    ({"a": 1}, [_ANSWER], r"val_q.json: line 1: an id is None, not text"),
])
def test_bad_questions(
    tmp_path: pathlib.Path, questions: Any, answers: Any, message: str
) -> None:
  layouts.write_files({"val_q.json": questions, "val_a.json": answers}, tmp_path)
  with pytest.raises(UserError, match=message):
    annotations.read("activitynet_qa", tmp_path)


def test_questions_without_their_answers_file(tmp_path: pathlib.Path) -> None:
  layouts.write_files({"val_q.json": [_QUESTION]}, tmp_path)
  with pytest.raises(UserError, match=r"has no val_a.json"):
    annotations.read("activitynet_qa", tmp_path)
