"""Every real annotation file that we have, against the official counts."""

import json
import pathlib

import pytest

from mla_jax.data import annotations, answers
from mla_jax.data.annotations.schema import Annotations, Count


def _differing(read: Annotations) -> list[Count]:
  return [count for count in read.counts if count.official not in (None, count.found)]


def test_msvd_qa(real_data: pathlib.Path) -> None:
  read = annotations.read("msvd_qa", real_data / "annotations" / "msvd_qa")
  assert _differing(read) == []
  assert len(read.items) == 30933 + 6415 + 13157
  assert len(read.videos) == 1970
  assert read.notes == ()
  by_split = {split: [item.answer for item in read.items if item.split == split]
              for split in ("train", "test")}
  vocabulary = [answer for answer, _ in answers.build_answers(by_split["train"])]
  assert len(vocabulary) == 1852
  assert 100 * answers.coverage(by_split["test"], vocabulary) == pytest.approx(94.08, abs=0.005)
  top = answers.coverage(by_split["test"], vocabulary[:1000])
  assert 100 * top == pytest.approx(91.08, abs=0.005)


def test_msvd_retrieval_shares_the_videos_of_msvd_qa(real_data: pathlib.Path) -> None:
  read = annotations.read("msvd_retrieval", real_data / "annotations" / "msvd_ret")
  assert _differing(read) == []
  assert read.notes == ()
  assert len(read.items) == 48774 + 4290 + 27763
  qa = annotations.read("msvd_qa", real_data / "annotations" / "msvd_qa")
  assert {v.video_id for v in read.videos} == {v.video_id for v in qa.videos}


def test_msrvtt_csv_splits(real_data: pathlib.Path, tmp_path: pathlib.Path) -> None:
  """The official csv files beside a data file that lists all 10,000 videos."""
  for path in (real_data / "annotations" / "msrvtt_ret").iterdir():
    (tmp_path / path.name).symlink_to(path)
  videos = [{"video_id": f"video{n}"} for n in range(10000)]
  sentences = [{"video_id": video["video_id"], "caption": "x"} for video in videos]
  data = json.dumps({"videos": videos, "sentences": sentences})
  (tmp_path / "MSRVTT_data.json").write_text(data)
  read = annotations.read("msrvtt_retrieval", tmp_path)
  assert {count.name for count in _differing(read)} == {  # One caption a video, not twenty.
      "captions", *(f"{split} captions" for split in
                    ("train", "validate", "test", "train_9k", "train_7k"))}
  assert sum(item.split == "test_1k_a" for item in read.items) == 1000
  assert len({item.text for item in read.items if item.split == "test_1k_a"}) == 995
  assert "train_9k shares 1,990 videos with test: never train on it to be evaluated there" in (
      read.notes)
  assert not any("train_7k shares" in note and "with test:" in note for note in read.notes)


def test_msrvtt_mini(real_data: pathlib.Path) -> None:
  retrieval = annotations.read("msrvtt_retrieval", real_data / "msrvtt_mini")
  found = {count.name: count.found for count in retrieval.counts}
  assert found == {
      "videos": 3080, "captions": 23640, "train videos": 1032, "train captions": 20640,
      "validate videos": 150, "validate captions": 3000,
      "unlabeled videos": 1898, "unlabeled captions": 0}
  qa = annotations.read("msrvtt_qa", real_data / "msrvtt_mini")
  found = {count.name: count.found for count in qa.counts}
  assert (found["train questions"], found["val questions"]) == (32275, 3687)
  assert {v.video_id for v in qa.videos} <= {v.video_id for v in retrieval.videos}
  train = [item.answer for item in qa.items if item.split == "train"]
  val = [item.answer for item in qa.items if item.split == "val"]
  top = [answer for answer, _ in answers.build_answers(train)[:1000]]
  assert 100 * answers.coverage(val, top) == pytest.approx(89.5, abs=0.05)


def test_msrvtt_mini_segments(real_data: pathlib.Path) -> None:
  read = annotations.read("timed_captions", real_data / "msrvtt_mini")
  assert sum(len(item.segments) for item in read.items) == 6689
  assert len(read.items) == 2172
  captions = annotations.read("msrvtt_retrieval", real_data / "msrvtt_mini")
  held_out = {item.video_id for item in captions.items if item.split == "validate"}
  assert not held_out & {item.video_id for item in read.items if item.split == "train"}
  assert {item.split for item in read.items} == {"train", "validate"}


def test_activitynet_captions(real_data: pathlib.Path, tmp_path: pathlib.Path) -> None:
  source = real_data / "annotations" / "activitynet_captions"
  for name, target in (("2dtan_train.json.gz", "train.json.gz"), ("2dtan_val.json", "val_1.json"),
                       ("2dtan_test.json", "val_2.json")):
    (tmp_path / target).symlink_to(source / name)
  read = annotations.read("timed_captions", tmp_path)
  assert _differing(read) == []
  assert ("train.json.gz: 4 sentences had an end that is not after their start: kept without times"
          in read.notes)
