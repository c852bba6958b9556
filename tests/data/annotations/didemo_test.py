"""DiDeMo: stems, chunks, annotators, paragraphs, lists."""

import pathlib
from typing import Any

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.didemo import agreed
from mla_jax.data.annotations.schema import Count, Segment
from mla_jax.errors import UserError
from tests.data.annotations import layouts
from tests.data.annotations.layouts_moments import didemo

_KICK, _BARE = "26292851@N04_4253489686_265c3c8051", "10052357@N03_7585070382_5762149bfc"
_TEST = "10149286@N00_5135045216_643d0b0a92"


def test_paragraphs_of_listed_videos(tmp_path: pathlib.Path) -> None:
  layouts.write("didemo_retrieval", tmp_path)
  read = annotations.read("didemo_retrieval", tmp_path)
  assert (read.family, read.task) == ("didemo", "retrieval")
  assert [(item.item_id, item.text) for item in read.items] == [
      (f"{_KICK}@train", "thing 1 happens. thing 3 happens."),  # Two files, one stem.
      (f"{_BARE}@train", "thing 2 happens."), (f"{_TEST}@test", "it goes")]
  assert read.items[0].segments == (Segment(0, 16, 20.0, 30.0), Segment(17, 33, 0.0, 15.0))
  assert Count("train paragraphs", 2, 8392) in read.counts
  assert {
      "val_data.json: not there: no split val",
      "train_data.json: 1 descriptions are of videos that train_list.txt does not list: left out",
      "train_list.txt: 1 of 3 videos have no description in train_data.json (11@N0_2_c, ...)",
      "train_data.json: 1 descriptions state another length than an earlier one of their video: "
      "kept, with their own (3)",
  } <= set(read.notes)


def test_videos_go_by_their_stems_and_end_after_30_seconds(tmp_path: pathlib.Path) -> None:
  layouts.write("didemo_retrieval", tmp_path)
  videos = {v.video_id: v for v in annotations.read("didemo_retrieval", tmp_path).videos}
  assert list(videos) == [_KICK, _BARE, "11@N0_2_c", _TEST]
  assert videos[_KICK].media_names == (_KICK, f"{_KICK}.m4v", f"{_KICK}.mp4")
  assert videos[_BARE].media_names == (_BARE, f"{_BARE}.")
  assert videos[_TEST].media_names == (_TEST,)
  assert {video.max_duration for video in videos.values()} == {30.0}
  both = annotations.read("didemo_localisation", tmp_path).videos
  assert both == tuple(videos.values())


def test_queries_keep_every_annotator(tmp_path: pathlib.Path) -> None:
  layouts.write("didemo_localisation", tmp_path)
  read = annotations.read("didemo_localisation", tmp_path)
  assert [(item.item_id, item.video_id) for item in read.items] == [
      ("train@1", _KICK), ("train@2", _BARE), ("train@3", _KICK), ("test@5", _TEST)]
  assert read.items[0].moments == ((20.0, 25.0), (20.0, 30.0), (0.0, 5.0), (20.0, 30.0))
  assert read.items[0].segments == (Segment(0, 16, 20.0, 30.0),)
  assert [item.duration for item in read.items] == [30.0, 30.0, 25.0, 30.0]
  assert Count("test descriptions", 1, 4021) in read.counts


def test_without_lists_all_videos_are_taken(tmp_path: pathlib.Path) -> None:
  layouts.write("didemo_localisation", tmp_path)
  (tmp_path / "train_list.txt").unlink()
  read = annotations.read("didemo_localisation", tmp_path)
  assert sum(item.split == "train" for item in read.items) == 4
  assert "train_list.txt: not there: all videos of train_data.json are taken" in read.notes


@pytest.mark.parametrize(("windows", "expected"), [
    (((0.0, 5.0),), (0.0, 5.0)),
    (((0.0, 5.0), (10.0, 15.0)), (0.0, 5.0)),  # The first of equals.
    (((25.0, 30.0), (0.0, 10.0), (5.0, 10.0), (0.0, 10.0)), (0.0, 10.0)),
    (((0.0, 30.0), (5.0, 10.0), (5.0, 15.0)), (5.0, 15.0)),
])
def test_the_agreed_window(
    windows: tuple[tuple[float, float], ...], expected: tuple[float, float]
) -> None:
  assert agreed(windows) == expected


@pytest.mark.parametrize(("change", "message"), [
    ({"times": [[4, 6]]}, r"'times' 0 are \[4, 6\], not chunks of 0 to 5 in order"),
    ({"times": [[4, 5]], "num_segments": 5}, r"'times' 0 are \[4, 5\], not chunks of 0 to 4"),
    ({"times": [[3, 2]]}, r"'times' 0 are \[3, 2\], not chunks"),
    ({"times": [[0, 0], [-1, 2]]}, r"'times' 1 are \[-1, 2\], not chunks"),
    ({"times": [[0.0, 1]]}, r"'times' 0 is 0.0, not a whole number"),
    ({"times": [[0]]}, r"'times' 0 are \[0\], not \[first, last\]"),
    ({"times": []}, r"'times' is empty"),
    ({"times": None}, r"'times' is None, not a list"),
    ({"num_segments": 7}, r"'num_segments' is 7, not one of 1 to 6"),
    ({"num_segments": 0}, r"'num_segments' is 0, not one of 1 to 6"),
    ({"num_segments": "6"}, r"'num_segments' is '6', not a whole number"),
    ({"description": " "}, r"'description' is empty"),
    ({"video": "../x.mov"}, r"id '../x.mov' is not safe"),
    ({"video": ".mov"}, r"id '' is not safe"),
    ({"annotation_id": None}, r"'annotation_id' is None, not a whole number"),
])
def test_bad_entries(tmp_path: pathlib.Path, change: dict[str, Any], message: str) -> None:
  layouts.write_files({"val_data.json": [didemo(1, "a.mov", **change)]}, tmp_path)
  for dataset in ("didemo_retrieval", "didemo_localisation"):
    with pytest.raises(UserError, match=message) as caught:
      annotations.read(dataset, tmp_path)
    assert "val_data.json: entry 0" in str(caught.value)


def test_repeated_entries_and_foreign_lists(tmp_path: pathlib.Path) -> None:
  layouts.write_files({"val_data.json": [didemo(1, "a.mov"), didemo(1, "b.mov")]}, tmp_path)
  with pytest.raises(UserError, match=r"val_data.json: annotation_id '1' is there twice"):
    annotations.read("didemo_localisation", tmp_path)
  layouts.write_files(
      {"val_data.json": [didemo(1, "a.mov")], "val_list.txt": "b.mov\n"}, tmp_path)
  with pytest.raises(UserError, match="split val has no description: check that the file and its"):
    annotations.read("didemo_retrieval", tmp_path)
  layouts.write_files({"val_list.txt": "a.mov\na.mp4\n"}, tmp_path)
  with pytest.raises(UserError, match=r"val_list.txt: line 2: video 'a' is there twice"):
    annotations.read("didemo_retrieval", tmp_path)
