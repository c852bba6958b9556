"""Processes end with what started them: by an exception, by a signal, by a kill."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from mla_jax.experiments.children import threads
from tests.commands import wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Stubs of a training: say that they run, and save when they are told to stop.
TRAINS = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def stop(number, frame):
  (folder / "saved").touch()
  sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, signal.SIG_IGN)
(folder / f"started_{len(list(folder.glob('started_*')))}").touch()
time.sleep(120)
"""
RUNS = """
import pathlib, sys
from mla_jax.experiments.children import exit_on_signals, threads
stub, folder = sys.argv[1:]
with exit_on_signals(), threads(1) as (pool, children), open(folder + "/log", "w") as log:
  futures = [pool.submit(children.run, [stub, folder], log) for _ in range(3)]
  for future in futures:
    future.result()
"""


@pytest.fixture
def runner(tmp_path):
  """A process that has started the first of three."""
  (tmp_path / "stub.py").write_text(TRAINS)
  command = [sys.executable, "-c", RUNS, str(tmp_path / "stub.py"), str(tmp_path)]
  with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
    wait_for((tmp_path / "started_0").exists)
    yield process
    process.kill()


def _children(process):
  path = f"/proc/{process.pid}/task"
  return [
      int(child) for task in os.listdir(path)
      for child in pathlib.Path(path, task, "children").read_text().split()
  ]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_what_runs_and_starts_no_more(tmp_path, runner, number, code):
  runner.send_signal(number)
  _, said = runner.communicate(timeout=60)
  assert runner.returncode == code
  assert said.count("\n") == 1
  assert said.startswith(f"{number.name}: no more runs are started")
  assert (tmp_path / "saved").exists()
  assert not (tmp_path / "started_1").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for it")
def test_a_kill_ends_what_runs(tmp_path, runner):
  (child,) = _children(runner)
  runner.kill()
  runner.wait()
  wait_for(lambda: not _alive(child))
  assert not (tmp_path / "started_1").exists()


def _alive(process_id):
  try:
    state = pathlib.Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2][0]
  except (FileNotFoundError, ProcessLookupError):
    return False
  return state != "Z"  # One that is dead, and that nobody has asked about.


def test_an_exception_ends_what_runs(tmp_path):
  (tmp_path / "stub.py").write_text(TRAINS)
  futures: list = []
  with pytest.raises(RuntimeError, match="a fault of ours"):
    _fails(tmp_path, futures)
  assert futures[0].result() == (0, "")
  assert futures[1].cancelled() or futures[1].result()[1] == ""
  assert not (tmp_path / "started_1").exists()


def _fails(folder, futures):
  arguments = [str(folder / "stub.py"), str(folder)]
  with open(folder / "log", "w") as log, threads(1) as (pool, children):
    futures += [pool.submit(children.run, arguments, log) for _ in range(2)]
    wait_for((folder / "started_0").exists)
    raise RuntimeError("a fault of ours")
