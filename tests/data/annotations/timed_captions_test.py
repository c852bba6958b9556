"""Sentences with times: paragraphs, repairs, and whose split a sentence takes."""

import math
import pathlib
from typing import Any

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Count, Segment
from mla_jax.errors import UserError
from tests.data.annotations import layouts


def test_a_paragraph_with_a_segment_a_sentence(tmp_path: pathlib.Path) -> None:
  layouts.write("timed_captions", tmp_path)
  read = annotations.read("timed_captions", tmp_path)
  assert (read.family, read.task) == ("timed", "timed_captions")
  item = read.items[0]
  assert (item.item_id, item.video_id, item.split) == ("video10@train", "video10", "train")
  assert item.text == "A dog runs. It jumps over a log It stops."
  assert [item.text[s.start:s.end] for s in item.segments] == [
      "A dog runs.", "It jumps over a log", "It stops."]
  assert item.segments[:2] == (Segment(0, 11, 0.0, 3.0), Segment(12, 31, 2.5, 8.0))
  assert math.isnan(item.segments[2].start_time)
  assert math.isnan(item.segments[2].end_time)
  assert read.items[1].segments == (Segment(0, 14, 0.0, 2.0),)
  assert read.notes == (
      "segments.json: 2 sentences had times outside [0, duration]: clipped",
      "segments.json: 1 sentences had an end that is not after their start: kept without times",
      "segments.json: 1 sentences had blanks around them: taken off",
  )
  assert Count("train sentences", 5, None) in read.counts


def test_held_out_videos_keep_their_split(tmp_path: pathlib.Path) -> None:
  layouts.write("timed_captions", tmp_path)
  layouts.write("msrvtt_retrieval", tmp_path)
  read = annotations.read("timed_captions", tmp_path)
  assert {item.video_id: item.split for item in read.items} == {
      "video10": "train", "video12": "validate", "video13": "train"}
  assert Count("validate sentences", 1, None) in read.counts


def test_activitynet_files(tmp_path: pathlib.Path) -> None:
  record = {"duration": 5.0, "timestamps": [[0, 5]], "sentences": ["Hi."]}
  layouts.dump(tmp_path / "train.json", {"v_ab": record})
  for name in ("val_1", "val_2"):
    layouts.dump(tmp_path / f"{name}.json", {"v_cd": record})
  read = annotations.read("timed_captions", tmp_path)
  assert [item.item_id for item in read.items] == ["v_ab@train", "v_cd@val_1", "v_cd@val_2"]
  assert [video.media_names for video in read.videos] == [("v_ab", "ab"), ("v_cd", "cd")]
  assert Count("train videos with sentences", 1, 10009) in read.counts
  assert Count("val_2 sentences", 1, 17031) in read.counts


def test_times_wholly_outside_are_dropped(tmp_path: pathlib.Path) -> None:
  record = {"duration": 5.0, "timestamps": [[6, 9], [-3, 0]], "sentences": ["a", "b"]}
  layouts.dump(tmp_path / "train.json", {"v": record})
  read = annotations.read("timed_captions", tmp_path)
  assert all(math.isnan(segment.start_time) for segment in read.items[0].segments)
  assert read.notes == (
      "train.json: 2 sentences lay wholly outside the video: kept without times",)


def test_a_video_without_sentences_is_counted(tmp_path: pathlib.Path) -> None:
  record: dict[str, Any] = {"duration": 5.0, "timestamps": [], "sentences": []}
  layouts.dump(tmp_path / "segments.json", layouts.TIMED | {"silent": record})
  read = annotations.read("timed_captions", tmp_path)
  assert "silent" in {video.video_id for video in read.videos}
  assert "segments.json: 1 videos have no sentence: no text" in read.notes
  layouts.dump(tmp_path / "segments.json", {"silent": record})
  with pytest.raises(UserError, match=r"segments.json: has no sentence"):
    annotations.read("timed_captions", tmp_path)


@pytest.mark.parametrize(("change", "message"), [
    ({"duration": None}, r"'duration' is None, not a finite number"),
    ({"duration": 0}, r"'duration' is 0, not above 0"),
    ({"duration": float("nan")}, r"'duration' is nan, not a finite number"),
    ({"duration": True}, r"'duration' is True, not a finite number"),
    ({"sentences": "A dog runs."}, r"'sentences' is 'A dog runs.', not a list"),
    ({"sentences": ["a"]}, r"3 timestamps for 1 sentences"),
    ({"sentences": ["a", "b", ""]}, r"sentence 2 is empty"),
    ({"timestamps": [[0, 1], [0], [0, 1]]}, r"timestamps 1 are \[0\], not \[start, end\]"),
    ({"timestamps": [[0, 1], 3, [0, 1]]}, r"timestamps 1 is 3, not a list"),
    ({"timestamps": [[0, "1"], [0, 1], [0, 1]]}, r"timestamps 0 is '1', not a finite number"),
    ({"timestamps": [[0, 10**400], [0, 1], [0, 1]]}, r"timestamps 0 is 10{76}\.\.\., not a finite"),
])
def test_malformed_entries(tmp_path: pathlib.Path, change: dict[str, Any], message: str) -> None:
  layouts.dump(tmp_path / "segments.json", {"video10": layouts.TIMED["video10"] | change})
  with pytest.raises(UserError, match=message) as caught:
    annotations.read("timed_captions", tmp_path)
  assert "segments.json: 'video10'" in str(caught.value)
  assert "\n" not in str(caught.value)


def test_no_file(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match=r"has neither segments.json nor any of train"):
    annotations.read("timed_captions", tmp_path)


def test_queries_have_one_moment_each(tmp_path: pathlib.Path) -> None:
  layouts.write("timed_localisation", tmp_path)
  layouts.write("msrvtt_retrieval", tmp_path)
  read = annotations.read("timed_localisation", tmp_path)
  assert (read.family, read.task) == ("timed", "localisation")
  found = {item.item_id: (item.text, item.moments, item.duration) for item in read.items}
  assert found == {
      "video10@train@0": ("A dog runs.", ((0.0, 3.0),), 8.0),
      "video10@train@1": ("It jumps over a log", ((2.5, 8.0),), 8.0),
      "video12@validate@0": ("A woman sings.", ((0.0, 2.0),), 4.0),
      "video13@train@0": ("A car.", ((0.0, 1.0),), 2.0),
  }
  assert all(item.segments[0].end == len(item.text) for item in read.items)
  assert ("segments.json: 1 sentences had an end that is not after their start: left out "
          "(video10 2: 6-6)" in read.notes)
  assert Count("train sentences", 3, None) in read.counts


def test_a_video_that_only_a_csv_split_holds_is_nobodys(tmp_path: pathlib.Path) -> None:
  """Nor "train", for it may be one of 1k-A's test videos."""
  videos = [{"video_id": f"video1{n}"} for n in range(4)]
  layouts.dump(tmp_path / "MSRVTT_data.json", {"videos": videos, "sentences": []})
  (tmp_path / "MSRVTT_train.9k.csv").write_text("video_id\nvideo10\n")
  layouts.dump(tmp_path / "segments.json", {"video10": layouts.TIMED["video10"]})
  with pytest.raises(UserError, match=r"no split of video10: put the files of the full split ther"):
    annotations.read("timed_captions", tmp_path)


def test_a_second_file_of_a_split_is_noted(tmp_path: pathlib.Path) -> None:
  for name in ("val_1.json", "val.json"):
    layouts.dump(tmp_path / name, {f"v_{name}": layouts.TIMED["video10"]})
  read = annotations.read("activitynet_retrieval", tmp_path)
  assert [item.video_id for item in read.items] == ["v_val_1.json"]
  assert "val.json: not read, since val_1.json is there" in read.notes
