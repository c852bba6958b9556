"""An address is refused before anything is made, where a folder is meant."""

import os
import pathlib
import subprocess
import sys

import pytest

from mla_jax.errors import UserError, check_folder

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUCKET = "gs://bucket/folder"
MAIN = ("main", "--config=configs/demo.py")
PREPARE = ("prepare", "msrvtt_qa", "--annotations=here")
EXPERIMENT = ("experiment", "configs/experiments/demo.py")


@pytest.mark.parametrize("folder", [None, "", "/mnt/bucket/run", "runs/a:b", "gs:/run", "a//b"])
def test_a_folder_is_not_refused(folder: str | None) -> None:
  check_folder("--workdir", folder)


@pytest.mark.parametrize("address", [BUCKET, "s3://bucket", "file:///mnt/run", "GS://bucket"])
def test_an_address_is_refused(address: str) -> None:
  with pytest.raises(UserError, match=f"^--workdir={address}: .*mount") as error:
    check_folder("--workdir", address)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (MAIN, "--workdir"),
        ((*MAIN, "--mode=eval"), "--workdir"),
        ((*MAIN, "--mode=compile"), "--workdir"),
        ((*MAIN, "--workdir=run"), "--config.data.dir"),
        ((*MAIN, "--workdir=run", "--mode=compile"), "--config.data.dir"),
        ((*PREPARE, "--out=there"), "--annotations"),
        ((*PREPARE, "--out=there"), "--media"),
        (PREPARE, "--out"),
        (EXPERIMENT, "--out"),
        ((*EXPERIMENT, "--out=there"), "--config.data.dir"),
        (("probe",), "--workdir"),
        (("demo",), "--out"),
    ],
)
def test_commands_refuse_it_and_leave_nothing(
    words: tuple[str, ...], flag: str, tmp_path: pathlib.Path
) -> None:
  module, *rest = words
  found = subprocess.run(
      [sys.executable, "-m", f"mla_jax.{module}", *rest, f"{flag}={BUCKET}"],
      cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
      capture_output=True, text=True, check=False,
  )
  assert found.returncode == 1
  (line,) = found.stderr.splitlines()
  assert line.startswith(f"error: {flag}={BUCKET}: ")
  assert not list(tmp_path.iterdir())
