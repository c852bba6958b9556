"""The command on prepared datasets, as a user runs it."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from mla_jax import leakage
from mla_jax.errors import UserError
from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return tiny.prepare(tmp_path_factory.mktemp("leakage"), videos=12) / "msrvtt"


def test_a_split_leaks_into_itself_and_not_into_another(prepared: pathlib.Path) -> None:
  itself = leakage.compare(prepared / "qa", "val", prepared / "qa", "val")
  assert itself["videos"]["shared"] == itself["videos"]["b"] == 3
  assert itself["texts"]["b_in_a_same_video"] == itself["texts"]["b"] == 6
  apart = leakage.compare(prepared / "retrieval", "train", prepared / "qa", "val")
  assert (apart["a"], apart["b"]) == ("msrvtt/retrieval:train", "msrvtt/qa:val")
  assert apart["videos"]["shared"] == 0
  seen = leakage.compare(prepared / "retrieval", "train", prepared / "qa", "train")
  assert seen["texts"]["b_about_shared_videos"] == seen["texts"]["b"] == 18
  assert seen["texts"]["b_in_a"] == 0


def test_other_families_are_pointed_out(prepared: pathlib.Path, tmp_path: pathlib.Path) -> None:
  (tmp_path / "msvd").mkdir()
  (tmp_path / "msvd" / "qa").symlink_to(prepared / "qa")
  assert leakage.compare(tmp_path / "msvd/qa", "val", prepared / "qa", "val")["same_family"]
  shutil.copytree(prepared / "qa", tmp_path / "other" / "qa")
  other = leakage.compare(tmp_path / "other/qa", "val", prepared / "qa", "val")
  assert other["same_family"] is False


def test_the_command(prepared: pathlib.Path) -> None:
  done = run(prepared / "qa", "val", prepared / "qa", "val")
  assert done.returncode == 0, done.stderr
  *lines, last = done.stdout.splitlines()
  assert json.loads(last) == leakage.compare(prepared / "qa", "val", prepared / "qa", "val")
  assert lines[0] == "A msrvtt/qa:val: 3 videos, 6 texts"
  assert "texts of B that are in A: 6, of the same video 6" in lines


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("qa", "val"), "usage"),
        (("qa", "test", "qa", "val"), "no split 'test'"),
        (("none", "val", "qa", "val"), "none"),
        (("media", "val", "qa", "val"), "not texts"),
    ],
)
def test_what_is_wrong_is_one_line(
    prepared: pathlib.Path, args: tuple[str, ...], said: str
) -> None:
  paths = [prepared / arg if arg in ("qa", "none", "media") else arg for arg in args]
  if len(paths) == 4:
    with pytest.raises(UserError, match=said):
      leakage.compare(*paths)
  else:
    done = run(*paths)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr


def run(*args: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
      [sys.executable, "-m", "mla_jax.leakage", *map(str, args)],
      cwd=ROOT, capture_output=True, text=True, check=False,
  )
