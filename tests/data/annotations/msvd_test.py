"""MSVD questions and captions: one name for a video in both."""

import pathlib

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Count
from mla_jax.errors import UserError
from tests.data.annotations import layouts


def test_questions_use_the_youtube_name(tmp_path: pathlib.Path) -> None:
  layouts.write("msvd_qa", tmp_path)
  read = annotations.read("msvd_qa", tmp_path)
  assert (read.family, read.task) == ("msvd", "qa")
  assert [item.video_id for item in read.items] == [
      "-4ws_5_15", "b2@x_1_9", "-4ws_5_15", "zz.5u_5_20", "mY_0_1"]
  assert read.videos[0].media_names == ("-4ws_5_15", "vid10")
  assert len(read.videos) == 4  # All of the mapping, asked about or not.
  assert Count("videos", 4, 1970) in read.counts
  assert Count("val questions", 1, 6415) in read.counts


def test_retrieval_keeps_every_caption_and_captionless_videos(tmp_path: pathlib.Path) -> None:
  layouts.write("msvd_retrieval", tmp_path)
  read = annotations.read("msvd_retrieval", tmp_path)
  assert (read.family, read.task) == ("msvd", "retrieval")
  assert [(item.item_id, item.split, item.text) for item in read.items] == [
      ("-4ws_5_15@0", "train", "a squirrel eats a nut"),
      ("-4ws_5_15@1", "train", "an animal is eating"),
      ("b2@x_1_9@0", "val", "a man cuts an onion"),
      ("zz.5u_5_20@0", "test", "a band plays"),
  ]
  assert [video.video_id for video in read.videos] == ["-4ws_5_15", "mY_0_1", "b2@x_1_9",
                                                       "zz.5u_5_20"]
  assert read.videos[0].media_names == ("-4ws_5_15",)
  assert Count("test captions", 1, 27763) in read.counts
  assert read.notes == ("train: 1 of 2 videos have no caption",)


def test_both_tasks_name_their_videos_alike(tmp_path: pathlib.Path) -> None:
  layouts.write("msvd_qa", tmp_path)
  layouts.write("msvd_retrieval", tmp_path)
  qa, retrieval = (
      {video.video_id: video.media_names for video in annotations.read(name, tmp_path).videos}
      for name in ("msvd_qa", "msvd_retrieval"))
  assert qa == retrieval


def test_an_unlisted_video_is_counted(tmp_path: pathlib.Path) -> None:
  layouts.write("msvd_retrieval", tmp_path)
  (tmp_path / "val_list.txt").unlink()
  read = annotations.read("msvd_retrieval", tmp_path)
  assert "val_list.txt: not there: no split val" in read.notes
  assert "captions_msvd.json: 1 videos are in no list: left out" in read.notes


@pytest.mark.parametrize(("name", "content", "message"), [
    ("youtube_mapping.txt", "a vid1\nb\n", r"line 2 is 'b', not 'NAME vidN'"),
    ("youtube_mapping.txt", "a vid1\nb vid1\n", r"line 2: vid1 is there twice"),
    ("youtube_mapping.txt", "a vid1\na vid2\n", r"line 2: video 'a' is there twice"),
    ("youtube_mapping.txt", "../a vid1\n", r"line 1: id '../a' is not safe"),
    ("youtube_mapping.txt", "\n", r"names no video"),
    ("youtube_mapping.txt", "a vid1\n", r"entry 0: 'video_id' is 10, which youtube_mapping.txt"),
    ("train_list.txt", "-4ws_5_15\n-4ws_5_15\n", r"line 2: video '-4ws_5_15' is there twice"),
    ("train_list.txt", "b2@x_1_9\n", r"val_list.txt: line 1: video 'b2@x_1_9' is there twice"),
    ("train_list.txt", "\n\n", r"split train has no video"),
    ("train_list.txt", "mY_0_1\n", r"no caption for any of the 1 videos of split train"),
    ("train_list.txt", "a/b\n", r"line 1: id 'a/b' is not safe"),
    ("captions_msvd.json", '{"-4ws_5_15": "a squirrel"}', r"-4ws_5_15 is 'a squirrel', not a list"),
    ("captions_msvd.json", '{"-4ws_5_15": ["x", 3]}', r"caption 1 is 3, not text"),
    ("captions_msvd.json", '{"-4ws_5_15": ["x", " "]}', r"caption 1 is empty"),
    ("captions_msvd.json", '{"b": ["x"], "b": ["y"]}', r"key 'b' is there twice"),
    ("captions_msvd.json", "[]", r"the top level is \[\], not an object"),
])
def test_bad_files(tmp_path: pathlib.Path, name: str, content: str, message: str) -> None:
  dataset = "msvd_qa" if name == "youtube_mapping.txt" else "msvd_retrieval"
  layouts.write(dataset, tmp_path)
  (tmp_path / name).write_text(content)
  with pytest.raises(UserError, match=message) as caught:
    annotations.read(dataset, tmp_path)
  assert "\n" not in str(caught.value)
