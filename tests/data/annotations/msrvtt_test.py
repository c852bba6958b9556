"""MSR-VTT captions and questions: splits, csv files, notes."""

import pathlib
from typing import Any

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations import msrvtt
from mla_jax.data.annotations.schema import Annotations, Count
from mla_jax.errors import UserError
from tests.data.annotations import layouts


def _counts(read: Annotations) -> dict[str, tuple[int, int | None]]:
  return {count.name: (count.found, count.official) for count in read.counts}


def _strip_split(videos: list[dict[str, Any]]) -> list[dict[str, Any]]:
  return [{"video_id": video["video_id"]} for video in videos]


def test_captions_keep_their_split_order_and_words(tmp_path: pathlib.Path) -> None:
  layouts.write("msrvtt_retrieval", tmp_path)
  read = annotations.read("msrvtt_retrieval", tmp_path)
  assert (read.family, read.task) == ("msrvtt", "retrieval")
  assert [(item.item_id, item.video_id, item.split, item.text) for item in read.items] == [
      ("video10@5", "video10", "train", "a dog runs"),
      ("video10@6", "video10", "train", "a brown dog is running on grass"),
      ("video11@8", "video11", "train", "two men play chess"),
      ("video12@7", "video12", "validate", "a woman sings a song"),
      ("train_9k@video12@7", "video12", "train_9k", "a woman sings a song"),
      ("train_9k@video10@5", "video10", "train_9k", "a dog runs"),
      ("train_9k@video10@6", "video10", "train_9k", "a brown dog is running on grass"),
      ("test_1k_a@ret0", "video11", "test_1k_a", "two men, at chess"),
  ]
  assert [(video.video_id, video.media_names) for video in read.videos] == [
      (f"video{n}", (f"video{n}",)) for n in (10, 11, 12, 13)]
  assert _counts(read) == {
      "videos": (4, 10000), "captions": (4, 200000),
      "train videos": (2, 6513), "train captions": (3, 130260),
      "validate videos": (1, 497), "validate captions": (1, 9940),
      "unlabeled videos": (1, None), "unlabeled captions": (0, None),
      "train_9k videos": (2, 9000), "train_9k captions": (3, 180000),
      "test_1k_a videos": (1, 1000), "test_1k_a captions": (1, 1000),
  }
  assert read.notes == (
      "MSRVTT_data.json: 1 captions had blanks around them: taken off",
      "MSRVTT_train.9k.csv: 1 of 3 videos are not in MSRVTT_data.json: left out",
      "unlabeled: 1 of 1 videos have no caption",
      "train shares 1 videos with test_1k_a: never train on it to be evaluated there",
      "train_9k shares 1 videos with validate: never train on it to be evaluated there",
  )


def test_other_names_splits_and_missing_sentence_ids(tmp_path: pathlib.Path) -> None:
  layouts.dump(tmp_path / msrvtt.DATA, {
      "info": {"year": "2016"},
      "videos": [{"video_id": "clip-a.7", "split": "holdout", "start time": 1.5}],
      "sentences": [{"video_id": "clip-a.7", "caption": "x"}] * 2,
  })
  read = annotations.read("msrvtt_retrieval", tmp_path)
  assert [(item.item_id, item.split) for item in read.items] == [
      ("clip-a.7@0", "holdout"), ("clip-a.7@1", "holdout")]
  assert Count("holdout captions", 2, None) in read.counts


def test_full_csvs_give_the_split_that_videos_lack(tmp_path: pathlib.Path) -> None:
  layouts.dump(tmp_path / msrvtt.DATA, {
      "videos": _strip_split(layouts.MSRVTT_VIDEOS), "sentences": layouts.MSRVTT_SENTENCES})
  for name, video in (("train", 10), ("val", 11), ("test", 12)):
    (tmp_path / f"MSRVTT_{name}.full.csv").write_text(f"video_id\r\nvideo{video}\r\n")
  read = annotations.read("msrvtt_retrieval", tmp_path)
  assert {(item.video_id, item.split) for item in read.items} == {
      ("video10", "train"), ("video11", "validate"), ("video12", "test")}
  assert "1 videos are in none of" in " ".join(read.notes)
  assert msrvtt.video_splits(tmp_path)["video13"] == ""


def test_csv_splits_alone_are_enough(tmp_path: pathlib.Path) -> None:
  layouts.write("msrvtt_retrieval", tmp_path)
  layouts.dump(tmp_path / msrvtt.DATA, {
      "videos": _strip_split(layouts.MSRVTT_VIDEOS), "sentences": layouts.MSRVTT_SENTENCES})
  read = annotations.read("msrvtt_retrieval", tmp_path)
  assert {item.split for item in read.items} == {"train_9k", "test_1k_a"}
  assert len(read.videos) == 4


def test_videos_in_no_split_are_an_error(tmp_path: pathlib.Path) -> None:
  data = {"videos": _strip_split(layouts.MSRVTT_VIDEOS), "sentences": layouts.MSRVTT_SENTENCES}
  layouts.dump(tmp_path / msrvtt.DATA, data)
  with pytest.raises(UserError, match=r"no 'split': add it, or put MSRVTT_train\.full\.csv"):
    annotations.read("msrvtt_retrieval", tmp_path)
  data["videos"][1]["split"] = "train"
  layouts.dump(tmp_path / msrvtt.DATA, data)
  with pytest.raises(UserError, match="'video10' has no 'split' while others do"):
    annotations.read("msrvtt_retrieval", tmp_path)


def test_a_video_in_two_full_csvs_is_an_error(tmp_path: pathlib.Path) -> None:
  layouts.dump(tmp_path / msrvtt.DATA, {
      "videos": _strip_split(layouts.MSRVTT_VIDEOS), "sentences": layouts.MSRVTT_SENTENCES})
  for name in ("train", "test"):
    (tmp_path / f"MSRVTT_{name}.full.csv").write_text("video_id\nvideo10\n")
  with pytest.raises(UserError, match=r"'video10' is in MSRVTT_train.full.csv too"):
    annotations.read("msrvtt_retrieval", tmp_path)


def test_a_csv_split_without_an_example_is_an_error(tmp_path: pathlib.Path) -> None:
  layouts.write("msrvtt_retrieval", tmp_path)
  (tmp_path / "MSRVTT_train.7k.csv").write_text("video_id\nvideo900\n")
  with pytest.raises(UserError, match=r"7k.csv: none of its 1 videos .* has no example"):
    annotations.read("msrvtt_retrieval", tmp_path)


def test_questions_join_videos_by_number_or_name(tmp_path: pathlib.Path) -> None:
  layouts.write("msrvtt_qa", tmp_path)
  read = annotations.read("msrvtt_qa", tmp_path)
  assert (read.family, read.task) == ("msrvtt", "qa")
  first, last = read.items[0], read.items[-1]
  assert (first.item_id, first.video_id, first.split) == ("train@0", "video10", "train")
  assert (first.text, first.answer, first.question_type) == ("what runs?", "dog", "what")
  assert [item.question_type for item in read.items] == ["what", "what", "who", "who", "other"]
  assert last.split == "test"
  assert [video.video_id for video in read.videos] == ["video10", "video11", "video12", "video13"]
  counts = _counts(read)
  assert counts["train questions"] == (3, 158581)
  assert counts["test videos with questions"] == (1, 2990)
  assert counts["test questions: what"] == (0, 49869)
  assert counts["train questions: who"] == (1, None)
  named = [{**layouts.QUESTIONS["val"][0], "video_id": "clip_7"}]
  layouts.dump(tmp_path / "val_qa.json", named)
  assert "clip_7" in {video.video_id for video in annotations.read("msrvtt_qa", tmp_path).videos}


def test_a_videos_number_may_be_written_as_text(tmp_path: pathlib.Path) -> None:
  layouts.dump(tmp_path / "val_qa.json", [{**layouts.QUESTIONS["val"][0], "video_id": "7010"}])
  read = annotations.read("msrvtt_qa", tmp_path)
  assert [video.video_id for video in read.videos] == ["video7010"]


def test_one_question_file_is_enough_and_none_is_not(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match=r"has none of train_qa.json, val_qa.json, test_qa.json"):
    annotations.read("msrvtt_qa", tmp_path)
  layouts.dump(tmp_path / "val_qa.json", layouts.QUESTIONS["val"])
  read = annotations.read("msrvtt_qa", tmp_path)
  assert {item.split for item in read.items} == {"val"}
  assert read.notes == ("train_qa.json: not there: no split train",
                        "test_qa.json: not there: no split test")


def test_the_same_question_id_in_two_files_is_fine(tmp_path: pathlib.Path) -> None:
  for split in ("train", "val"):
    layouts.dump(tmp_path / f"{split}_qa.json", layouts.QUESTIONS["val"])
  read = annotations.read("msrvtt_qa", tmp_path)
  assert [item.item_id for item in read.items] == ["train@3", "val@3"]
