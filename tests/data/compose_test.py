"""Clips of several videos: what is written, from which videos, and what is refused."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from mla_jax.data import annotations, compose
from mla_jax.data.sources import hashed_share
from mla_jax.errors import UserError
from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  folder = tmp_path_factory.mktemp("source")
  tiny.write_annotations(folder, videos=40)
  tiny.write_features(folder / "features", videos=40)
  return folder


@pytest.fixture
def settings(source: pathlib.Path) -> compose.Settings:
  return compose.Settings(
      "msrvtt_retrieval", str(source), str(source / "features"), test_split="validate",
      dev_fraction=0.3, parts=2, clips=(40, 5, 12),
  )


def read(folder: pathlib.Path) -> dict[str, dict]:
  return {split: json.loads((folder / f"{split}.json").read_text()) for split in compose.SPLITS}


def test_a_clip_is_its_videos_one_behind_the_other(source, settings, tmp_path) -> None:
  compose.write(tmp_path, settings)
  captions: dict[str, set[str]] = {}
  for item in annotations.read("msrvtt_retrieval", source).items:
    captions.setdefault(item.video_id, set()).add(item.text)
  for told in read(tmp_path).values():
    for name, clip in told.items():
      frames = np.load(tmp_path / "features" / f"{name}.npy")
      assert len(clip["sentences"]) == len(clip["videos"]) == len(set(clip["videos"])) == 2
      assert clip["duration"] == len(frames) == clip["timestamps"][-1][1]
      for video, (start, end), text in zip(
          clip["videos"], clip["timestamps"], clip["sentences"], strict=True
      ):
        own = np.load(source / "features" / f"{video}.npy").astype(np.float16)
        np.testing.assert_array_equal(frames[int(start) : int(end)], own)
        assert text in captions[video]


def test_no_video_is_in_two_splits_and_all_are_about_as_often_used(settings, tmp_path) -> None:
  compose.write(tmp_path, settings)
  told = read(tmp_path)
  assert {split: len(clips) for split, clips in told.items()} == {
      "train": 40, "val": 5, "test": 12
  }
  used = {
      split: [video for clip in clips.values() for video in clip["videos"]]
      for split, clips in told.items()
  }
  validate = {f"video{number}" for number in range(40) if number % 4 == 3}
  assert set(used["test"]) == validate
  assert {used["test"].count(video) for video in validate} <= {2, 3}
  kept_out = {f"video{number}" for number in range(40)
              if hashed_share(f"video{number}") < 0.3} - validate
  assert set(used["val"]) <= kept_out and not set(used["train"]) & (kept_out | validate)


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(settings, tmp_path) -> None:
  for name, seed in (("a", 0), ("b", 0), ("c", 1)):
    compose.write(tmp_path / name, dataclasses.replace(settings, seed=seed))
  files = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")}
  assert len(files) == 57 + 3
  assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
  assert read(tmp_path / "a") != read(tmp_path / "c")


def test_what_it_writes_is_read_as_timed_captions(settings, tmp_path) -> None:
  compose.write(tmp_path, settings)
  found = annotations.read("timed_captions", tmp_path)
  assert {item.split for item in found.items} == set(compose.SPLITS)
  first = next(item for item in found.items if item.video_id == "test_00000")
  told = read(tmp_path)["test"]["test_00000"]
  assert first.text == " ".join(told["sentences"])
  assert [[s.start_time, s.end_time] for s in first.segments] == told["timestamps"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"parts": 11}, r"val: 4 videos with captions and features are too few for clips of 11"),
        ({"dev_fraction": 0.0}, "val: 0 videos"),
        ({"test_split": "test"}, "test: 0 videos"),
    ],
)
def test_too_few_videos_are_named(changed, said, settings, tmp_path) -> None:
  with pytest.raises(UserError, match=said):
    compose.write(tmp_path, dataclasses.replace(settings, **changed))
  assert not list(tmp_path.iterdir())


def test_media_that_are_no_features_or_broken_are_named(settings, tmp_path) -> None:
  frames = tmp_path / "frames"
  (frames / "video3").mkdir(parents=True)
  with pytest.raises(UserError, match="holds no features"):
    compose.write(tmp_path / "out", dataclasses.replace(settings, media=str(frames)))
  broken = tmp_path / "broken"
  tiny.write_features(broken, videos=40)
  (broken / "video3.npy").write_bytes(b"nothing")
  with pytest.raises(UserError, match=r"video3\.npy: not a readable \.npy file"):
    compose.write(tmp_path / "out", dataclasses.replace(settings, media=str(broken)))


def test_the_command(source, tmp_path) -> None:
  command = [sys.executable, "-m", "mla_jax.compose", f"--annotations={source}",
             f"--out={tmp_path}", "--test_split=validate", "--dev_fraction=0.3", "--parts=2"]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
  assert done.returncode == 1 and "usage: python -m mla_jax.compose" in done.stderr
  command += [f"--media={source / 'features'}", "--train_clips=4", "--test_clips=3"]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert done.stdout == f"composed: {tmp_path}\n"
  assert {name: len(clips) for name, clips in read(tmp_path).items()} == {
      "train": 4, "val": 300, "test": 3
  }
