"""Every real annotation file that we have, against the official counts."""

import collections
import json
import pathlib
import statistics

import pytest

from mla_jax.data import annotations, answers
from mla_jax.data.annotations import lists
from mla_jax.data.annotations.schema import Annotations, Count
from tests.data.annotations.repeats_test import CONTRADICTING, REPEATED
from tests.data.annotations.validity import assert_valid


def _differing(read: Annotations) -> list[Count]:
  return [count for count in read.counts if count.official not in (None, count.found)]


def test_msvd_qa(real_data: pathlib.Path) -> None:
  read = annotations.read("msvd_qa", real_data / "annotations" / "msvd_qa")
  assert _differing(read) == []
  assert len(read.items) == 30933 + 6415 + 13157
  assert len(read.videos) == 1970
  assert [note.split(" (")[0] for note in read.notes] == [
      f"{split}: {count} {what}" for split, repeated, contradicting in
      (("train", 7, 797), ("val", 4, 159), ("test", 7, 337))
      for count, what in ((repeated, REPEATED), (contradicting, CONTRADICTING))]
  assert "(test@38212 / test@38213, test@41581 / test@41587, " in read.notes[4]
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
  queries = annotations.read("timed_localisation", real_data / "msrvtt_mini")
  by_split = collections.Counter(item.split for item in queries.items)
  assert by_split == {"train": 6556, "validate": 133}
  held_out = {item.video_id for item in captions.items if item.split == "validate"}
  assert not held_out & {item.video_id for item in read.items if item.split == "train"}
  assert {item.split for item in read.items} == {"train", "validate"}


@pytest.fixture
def activitynet(real_data: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
  """2D-TAN's copy under the official names."""
  source = real_data / "annotations" / "activitynet_captions"
  for name, target in (("2dtan_train.json.gz", "train.json.gz"), ("2dtan_val.json", "val_1.json"),
                       ("2dtan_test.json", "val_2.json")):
    (tmp_path / target).symlink_to(source / name)
  return tmp_path


@pytest.fixture
def didemo(real_data: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
  """The val and test files, with all three lists, under the official names."""
  source = real_data / "annotations" / "didemo"
  for split in ("train", "val", "test"):
    (tmp_path / f"{split}_list.txt").symlink_to(source / f"ce_{split}_list.txt")
  for split in ("val", "test"):
    (tmp_path / f"{split}_data.json").symlink_to(source / f"{split}_data.json")
  return tmp_path


def _words(read: Annotations, split: str) -> list[int]:
  return [len(item.text.split()) for item in read.items if item.split == split]


def test_timed_captions(activitynet: pathlib.Path) -> None:
  read = annotations.read("timed_captions", activitynet)
  assert _differing(read) == []
  assert ("train.json.gz: 4 sentences had an end that is not after their start: kept without times"
          in read.notes)


def test_activitynet_paragraphs(real_data: pathlib.Path, activitynet: pathlib.Path) -> None:
  read = annotations.read("activitynet_retrieval", activitynet)
  assert_valid(read)
  assert _differing(read) == []
  assert {note for note in read.notes if "clipped" in note} == {
      f"{name}: {count} sentences had times outside [0, duration]: clipped" for name, count in
      (("train.json.gz", 29), ("val_1.json", 5), ("val_2.json", 1))}
  by_split: dict[str, set[str]] = {}
  for item in read.items:
    by_split.setdefault(item.split, set()).add(item.video_id)
  assert {split: len(videos) for split, videos in by_split.items()} == {
      "train": 10009, "val_1": 4917, "val_2": 4885}
  assert len(by_split["val_1"] & by_split["val_2"]) == 4885
  for split, videos in by_split.items():
    listed = real_data / "annotations/activitynet_captions" / f"ce_{split}_list.txt"
    assert videos == set(listed.read_text().split())
  assert [round(statistics.mean(_words(read, split))) for split in ("train", "val_1")] == [50, 48]
  assert max(_words(read, "train")) == 504


def test_activitynet_queries(activitynet: pathlib.Path) -> None:
  read = annotations.read("activitynet_localisation", activitynet)
  assert_valid(read)
  assert _differing(read) == []
  assert len(read.items) == 37421 - 4 + 17505 + 17031
  (note,) = (note for note in read.notes if "left out" in note)
  assert note.startswith("train.json.gz: 4 sentences had an end that is not after their start: ")
  assert "left out (v_N7ppHQNikv8 2: 34.77-34.77, " in note
  durations = {item.video_id: item.duration for item in read.items if item.split == "train"}
  assert round(statistics.mean(durations.values())) == 117
  assert max(durations.values()) == 755.11


def test_didemo_paragraphs(didemo: pathlib.Path) -> None:
  read = annotations.read("didemo_retrieval", didemo)
  assert_valid(read)
  assert _differing(read) == []
  assert {split: len(_words(read, split)) for split in ("val", "test")} == {
      "val": 1065, "test": 1004}
  assert round(statistics.mean(_words(read, "val"))) == 29
  assert max(_words(read, "test")) == 81
  assert not any("left out" in note or "no description" in note for note in read.notes)


def test_didemo_queries(didemo: pathlib.Path) -> None:
  read = annotations.read("didemo_localisation", didemo)
  assert_valid(read)
  assert _differing(read) == []
  found = {count.name: count.found for count in read.counts}
  assert (found["val descriptions"], found["test descriptions"]) == (4180, 4021)
  files = {name for v in read.videos for name in v.media_names if "." in name}
  assert len(files) == 1094 + 1037  # As the files name them; 1,065 and 1,004 by their stems.
  annotators = collections.Counter(len(item.moments) for item in read.items)
  assert set(annotators) == {4, 5, 7}
  assert annotators[4] == 4009 + 4165


def test_didemos_training_list(real_data: pathlib.Path) -> None:
  listed = lists.read_lists(real_data / "annotations" / "didemo", {"train": "ce_train_list.txt"})
  assert len(listed["train"]) == 8392


def test_charades_sta(real_data: pathlib.Path) -> None:
  read = annotations.read("charades_sta", real_data / "annotations" / "charades_sta")
  assert_valid(read)
  assert _differing(read) == []
  assert len(read.items) == 12408 - 4 + 3720
  assert ("charades_sta_train.txt: 4 queries had an end that is not after their start: left out "
          "(line 8252: LEOL6 8-7, line 8440: IOL8Q 20.9-12, line 9623: AKKWU 38-13, "
          "line 9624: AKKWU 38-13)" in read.notes)


def test_nextqa(real_data: pathlib.Path) -> None:
  read = annotations.read("nextqa", real_data / "annotations" / "nextqa")
  assert_valid(read)
  assert _differing(read) == []
  assert len(read.items) == 4996
  assert all(len(video.media_names) == 2 for video in read.videos)
  right = sum(
      max(item.candidates, key=len) == item.answer and len(set(item.candidates)) == 5
      for item in read.items)
  assert 100 * right / len(read.items) == pytest.approx(20.6, abs=0.05)


def test_msvd_captions_that_are_not_unique(real_data: pathlib.Path) -> None:
  read = annotations.read("msvd_retrieval", real_data / "annotations" / "msvd_ret")
  test = [item for item in read.items if item.split == "test"]
  videos: dict[str, set[str]] = {}
  for item in test:
    videos.setdefault(item.text, set()).add(item.video_id)
  assert sum(len(videos[item.text]) > 1 for item in test) == 4372
  captions = collections.Counter(item.video_id for item in read.items)
  assert (min(captions.values()), max(captions.values())) == (18, 81)
