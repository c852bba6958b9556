"""The demo's annotation files, when something is wrong with them."""

from collections.abc import Callable
import json
import pathlib
from typing import Any

import pytest

from mla_jax.data import annotations
from mla_jax.errors import UserError


def files() -> dict[str, Any]:
  """One train and one test video with a caption, a question and a timed sentence each."""
  ids = ("train_00000", "test_00000")
  return {
      "captions.json": {
          "videos": [{"video_id": name, "split": name.split("_")[0]} for name in ids],
          "captions": [
              {"id": n, "video_id": name, "caption": "a red circle grows."}
              for n, name in enumerate(ids)
          ],
      },
      "questions.json": [
          {"id": n, "video_id": name, "question": "what?", "answer": "red", "type": "colour"}
          for n, name in enumerate(ids)
      ],
      "segments.json": {
          name: {"duration": 2.0, "timestamps": [[0, 2]], "sentences": ["it grows."]}
          for name in ids
      },
  }


def write(directory: pathlib.Path, content: dict[str, Any]) -> None:
  for name, value in content.items():
    (directory / name).write_text(json.dumps(value))


def rename_video(content: dict[str, Any]) -> None:
  content["captions.json"]["videos"][1]["video_id"] = "../x"


def repeat_video(content: dict[str, Any]) -> None:
  content["captions.json"]["videos"][1] = content["captions.json"]["videos"][0]


def unknown_video(content: dict[str, Any]) -> None:
  content["captions.json"]["captions"][1]["video_id"] = "test_00009"


def empty_caption(content: dict[str, Any]) -> None:
  content["captions.json"]["captions"][1]["caption"] = " "


def repeat_caption(content: dict[str, Any]) -> None:
  content["captions.json"]["captions"][1]["id"] = 0


def empty_split(content: dict[str, Any]) -> None:
  del content["captions.json"]["captions"][1]


def no_captions_key(content: dict[str, Any]) -> None:
  del content["captions.json"]["captions"]


def empty_answer(content: dict[str, Any]) -> None:
  content["questions.json"][1]["answer"] = ""


def question_of_nobody(content: dict[str, Any]) -> None:
  content["questions.json"][0]["video_id"] = "train_7"


def questions_as_text(content: dict[str, Any]) -> None:
  content["questions.json"] = "none"


def times_missing(content: dict[str, Any]) -> None:
  del content["segments.json"]["test_00000"]["timestamps"]


def timed_unknown(content: dict[str, Any]) -> None:
  content["segments.json"]["test_00001"] = content["segments.json"].pop("test_00000")


@pytest.mark.parametrize(
    ("dataset", "damage", "message"),
    [
        ("demo_retrieval", rename_video, r"\.\./x.*not safe"),
        ("demo_retrieval", repeat_video, "train_00000.*twice"),
        ("demo_retrieval", unknown_video, "test_00009.*not listed"),
        ("demo_retrieval", empty_caption, "caption 1: 'caption' is empty"),
        ("demo_retrieval", repeat_caption, "caption@0.*twice"),
        ("demo_retrieval", empty_split, "split test has no captions"),
        ("demo_retrieval", no_captions_key, "has no 'captions'"),
        ("demo_qa", empty_answer, "question 1: 'answer' is empty"),
        ("demo_qa", question_of_nobody, "train_7.*not listed"),
        ("demo_qa", questions_as_text, "not a list"),
        ("demo_timed_captions", times_missing, "test_00000.*timestamps"),
        ("demo_timed_captions", timed_unknown, "test_00001.*not listed"),
    ],
)
def test_damage_is_one_clear_line(
    tmp_path: pathlib.Path,
    dataset: str,
    damage: Callable[[dict[str, Any]], None],
    message: str,
) -> None:
  content = files()
  write(tmp_path, content)
  annotations.read(dataset, tmp_path)
  damage(content)
  write(tmp_path, content)
  with pytest.raises(UserError, match=message) as caught:
    annotations.read(dataset, tmp_path)
  assert "\n" not in str(caught.value)


def test_splits_come_from_the_captions(tmp_path: pathlib.Path) -> None:
  write(tmp_path, files())
  for dataset in ("demo_retrieval", "demo_qa", "demo_timed_captions"):
    found = annotations.read(dataset, tmp_path)
    assert [item.split for item in found.items] == ["train", "test"]
    assert [video.video_id for video in found.videos] == ["train_00000", "test_00000"]


@pytest.mark.parametrize("missing", ["captions.json", "questions.json", "segments.json"])
def test_a_missing_file_is_named(tmp_path: pathlib.Path, missing: str) -> None:
  content = files()
  del content[missing]
  write(tmp_path, content)
  dataset = {"questions.json": "demo_qa", "segments.json": "demo_timed_captions"}
  with pytest.raises(UserError, match=missing):
    annotations.read(dataset.get(missing, "demo_retrieval"), tmp_path)
