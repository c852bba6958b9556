"""Which of the evaluated videos a run was trained on."""

import pathlib
import shutil
from typing import Any

import numpy as np
import pytest

from mla_jax import config_lib, eval_lib, trained_on
from mla_jax import run as run_lib
from tests import tiny

LISTED = [number for number in range(24) if number % 8 != 0]  # Of train_9k; 3 of 6 are validate's.


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Splits train (18 videos), validate (6), and train_9k with videos of both."""
  root = tmp_path_factory.mktemp("data")
  (root / "annotations").mkdir()
  names = "".join(f"video{number}\n" for number in LISTED)
  (root / "annotations" / "MSRVTT_train.9k.csv").write_text(f"video_id\n{names}")
  return tiny.prepare(root, videos=24, absent=(1, 3))


@pytest.fixture
def workdir(data: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
  """Of a run on captions of train_9k, a quarter of its videos kept out of training."""
  changes = {
      "data.dir": str(data), "data.dev_fraction": 0.25, "data.sources.captions.split": "train_9k",
      "data.eval_split": "validate", "model.video.feature_width": tiny.FEATURES,
  }
  config = config_lib.load_config("configs/msrvtt_mini_retrieval.py:debug", changes)
  folder = tmp_path / "run"
  folder.mkdir()
  with config.unlocked():
    del config.data.sources["timed"]
  run_lib.start_workdir(config, folder)
  run_lib.keep_config(config, folder)
  return folder


def opened(workdir: pathlib.Path, split: str, **more: Any) -> run_lib.Run:
  changes = {"data.eval_split": split} | {k.replace("__", "."): str(v) for k, v in more.items()}
  return run_lib.open_run(eval_lib.load_config(workdir, None, changes), workdir)


def count(workdir: pathlib.Path, split: str, **more: Any) -> int:
  run = opened(workdir, split, **more)
  trained = config_lib.read_config(workdir / "config.json")
  return trained_on.count_videos(run, trained, run_lib.open_evaluated(run))


def expected(workdir: pathlib.Path, split: str) -> int:
  run = opened(workdir, split)
  (source,) = run_lib.open_sources(run)
  return len(np.intersect1d(source.own.texts.video_ids(), run_lib.open_evaluated(run).video_ids()))


def test_only_what_was_in_training_counts(workdir) -> None:
  """Neither what selected the best step, nor videos that are not there."""
  for split in ("validate", "train", "train_9k"):
    assert count(workdir, split) == expected(workdir, split) > 0
  in_training = len(set(run_lib.open_sources(opened(workdir, "train"))[0].own.texts.video_ids()))
  assert count(workdir, "train_9k") == in_training < len(LISTED) - 2
  assert count(workdir, "dev") == 0


def test_ids_of_another_family_are_other_videos(workdir, tmp_path) -> None:
  other = tiny.prepare(tmp_path / "other", videos=24, family="msvd", datasets=("msrvtt_retrieval",))
  assert count(workdir, "train", data__dir=other, data__family="msvd") == 0


def test_what_was_trained_on_is_compared_where_it_is(workdir, data, tmp_path) -> None:
  """Where the run read it, or, on another machine, where the evaluation does; else nothing is."""
  moved = shutil.copytree(data, tmp_path / "moved")
  trained = config_lib.read_config(workdir / "config.json")
  trained.data.dir = str(tmp_path / "gone")
  config_lib.save_config(trained, workdir / "config.json")
  assert count(workdir, "train", data__dir=moved) > 0
  other = tiny.prepare(tmp_path / "alone", videos=24, datasets=("msrvtt_retrieval",))
  assert count(workdir, "train", data__dir=other) == 0  # Of other files, though of that name.


@pytest.mark.parametrize("name", ["train_9k.video_ids.txt", "manifest.json"])
def test_an_evaluation_needs_nothing_of_what_was_trained_on(workdir, data, tmp_path, name) -> None:
  moved = shutil.copytree(data, tmp_path / "moved")
  trained = config_lib.read_config(workdir / "config.json")
  trained.data.dir = str(moved)
  config_lib.save_config(trained, workdir / "config.json")
  (moved / "msrvtt" / "retrieval" / name).unlink()
  assert count(workdir, "train", data__dir=data) == 0


def test_a_workdir_of_which_nobody_knows_the_data(workdir) -> None:
  (workdir / "data.json").unlink()
  assert count(workdir, "train") == 0
