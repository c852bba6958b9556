"""Processes end with what started them: by an exception, by a signal, by a kill."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from mla_jax.experiments.children import side_by_side
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
import sys
from mla_jax.experiments.children import exit_on_signals, side_by_side
stub, folder = sys.argv[1:]
with exit_on_signals(), open(folder + "/log", "w") as log:
  side_by_side([lambda children: children.run([stub, folder], log)] * 3, 1, print)
"""
# A signal comes when a future's lock has just been taken.
AT_A_LOCK = """
import os, signal, sys, threading
enter = threading.Condition.__enter__
def enter_and_get_a_signal(self):
  entered = enter(self)
  main = threading.get_ident() == threading.main_thread().ident
  if main and sys._getframe(1).f_globals["__name__"] == "concurrent.futures._base":
    threading.Condition.__enter__ = enter
    os.kill(os.getpid(), signal.SIGTERM)
  return entered
threading.Condition.__enter__ = enter_and_get_a_signal
"""


def _start(folder, code):
  (folder / "stub.py").write_text(TRAINS)
  command = [sys.executable, "-c", code, str(folder / "stub.py"), str(folder)]
  return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def runner(tmp_path):
  """A process that has started the first of three."""
  with _start(tmp_path, RUNS) as process:
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


def test_a_signal_leaves_no_lock_taken(tmp_path):
  with _start(tmp_path, AT_A_LOCK + RUNS) as process:
    try:
      _, said = process.communicate(timeout=60)
    finally:
      process.kill()
  assert process.returncode == 143, said
  assert not (tmp_path / "started_1").exists()


def test_a_second_ctrl_c_does_not_wait_for_checkpoints(tmp_path):
  slow = TRAINS.replace('(folder / "saved").touch()', 'time.sleep(120)')
  with _start(tmp_path, RUNS) as process:
    (tmp_path / "stub.py").write_text(slow)
    wait_for((tmp_path / "started_0").exists)
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline().startswith("SIGINT: no more runs are started")
    process.send_signal(signal.SIGTERM)  # Again, as schedulers do: nothing.
    with pytest.raises(subprocess.TimeoutExpired):
      process.wait(timeout=1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130


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
  arguments = [str(tmp_path / "stub.py"), str(tmp_path)]
  found: list = []

  def run(children):
    found.append(children.run(arguments, log))

  def fail(result):
    wait_for((tmp_path / "started_0").exists)
    raise RuntimeError("a fault of ours")

  with open(tmp_path / "log", "w") as log, pytest.raises(RuntimeError, match="a fault of ours"):
    side_by_side([lambda children: None, run, run], 1, fail)
  assert found == [(0, "")]
  assert (tmp_path / "saved").exists()
  assert not (tmp_path / "started_1").exists()
