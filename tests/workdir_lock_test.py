"""Two jobs do not train in one workdir, and one that was killed keeps nobody out."""

import fcntl
import pathlib
import subprocess
import sys

import pytest

from mla_jax import config_lib, train_lib, workdir_lock
from mla_jax.errors import UserError

HOLD = """
import pathlib, sys, time
from mla_jax import workdir_lock
with workdir_lock.held(pathlib.Path(sys.argv[1])):
  print("held", flush=True)
  time.sleep(600)
"""


def test_a_job_keeps_another_out_until_it_is_killed(tmp_path: pathlib.Path) -> None:
  job = subprocess.Popen(
      [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
  )
  try:
    assert job.stdout and job.stdout.readline() == "held\n"
    config = config_lib.load_config("configs/msrvtt_mini_retrieval.py:debug")
    with pytest.raises(UserError, match=f"another job .*process {job.pid} on .*--workdir"):
      train_lib.train(config, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {workdir_lock.FILE}
  finally:
    job.kill()
    job.wait()
  with workdir_lock.held(tmp_path):
    pass
  with workdir_lock.held(tmp_path):  # Left as it should be.
    pass


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, monkeypatch, caplog) -> None:
  def refuse(*_: object) -> None:
    raise OSError(95, "Operation not supported")

  monkeypatch.setattr(fcntl, "flock", refuse)
  with workdir_lock.held(tmp_path), workdir_lock.held(tmp_path):
    pass
  assert f"{tmp_path}: its file system has no locks: nothing keeps a second job out" in caplog.text
