"""However one process of a job ends, all end soon, and say why and where they were."""

import re
import shutil
import signal
import time

import pytest

from mla_jax import workdir_lock
from mla_jax.peers import SILENT_SECONDS
from tests import tiny
from tests.commands import wait_for
from tests.multiprocess.jobs import (
  ENDLESS,
  ROOT,
  STEPS,
  arguments,
  finish,
  losses,
  start,
  succeed,
)

pytestmark = pytest.mark.slow
SOON = 30  # Seconds; nothing that JAX or gloo waits for is shorter.


def started_training(features, workdir, *more):
  started = start([arguments(features, workdir, *ENDLESS, *more)] * 2)
  wait_for(lambda: losses(workdir) or any(process.poll() is not None for process in started))
  return started


def stopped_by(each, **how):
  """What processes write that end since they differ at the start."""
  found = finish(start(each, **how), timeout=300)
  assert [code for code, *_ in found] == [1, 1]
  return [error for *_, error in found]


def test_another_config(features, tmp_path):
  workdir = tmp_path / "run"
  words = arguments(features, workdir)
  each = [words, [*words, "--config.loss.segment_weight=0.25"]]
  for error in stopped_by(each):
    assert "process 1 and process 0 differ: config.loss.segment_weight: 0.5 in 0, 0.25" in error
    assert "Traceback" not in error
  assert not (workdir / "config.json").exists()


def test_another_version_of_the_code(features, tmp_path):
  workdir, copy = tmp_path / "run", tmp_path / "copy"
  shutil.copytree(ROOT / "mla_jax", copy / "mla_jax")
  (copy / "mla_jax" / "__init__.py").write_text('"""Older."""\n\n__version__ = "0.0.0"\n')
  each = [arguments(features, workdir)] * 2
  for error in stopped_by(each, folders=[ROOT, copy]):
    assert "process 1 and process 0 differ: code_version: '" in error
    assert "in 0, '0.0.0-" in error
  assert not (workdir / "config.json").exists()


def test_other_data_under_the_same_name(features, tmp_path):
  workdir, folders = tmp_path / "run", [tmp_path / "host0", tmp_path / "host1"]
  for folder in folders:
    folder.mkdir()
  (folders[0] / "out").symlink_to(features)
  tiny.prepare(folders[1], first=1)
  for error in stopped_by([arguments("out", workdir)] * 2, folders=folders):
    assert "process 1 and process 0 differ: data_fingerprint.media: '" in error
    assert "data_fingerprint.retrieval" in error
  assert not (workdir / "config.json").exists()


def test_what_fails_in_the_first_alone_is_told_by_all(features, tmp_path):
  workdir = tmp_path / "run"
  workdir.mkdir()
  with workdir_lock.held(workdir):
    found = finish(start([arguments(features, workdir, *STEPS)] * 2), timeout=300)
  assert [code for code, *_ in found] == [1, 1]
  message = f"{workdir}: another job is training in it"
  assert f"error: {message}" in found[0][2]
  assert f"error: process 0 failed: {message}" in found[1][2]
  assert not any("Traceback" in error for *_, error in found)
  assert {path.name for path in workdir.iterdir()} == {workdir_lock.FILE}


def test_sigterm_to_one_saves_the_step_of_all_to_go_on_from(features, tmp_path):
  workdir = tmp_path / "run"
  more = ("--config.train.steps=150", "--stopped_exit_code=75")
  started = started_training(features, workdir, *more)
  started[1].send_signal(signal.SIGTERM)
  for code, _, error in finish(started):
    assert code == 75, error[-3000:]
  last = max(losses(workdir))
  assert last < 150
  # None was due: what is there was saved for the signal.
  assert [path.name for path in (workdir / "checkpoints").iterdir()] == [str(last)]
  first, _ = succeed(start([arguments(features, workdir, *ENDLESS, *more)] * 2))
  assert f": from step {last} to 150" in first[2]
  assert sorted(losses(workdir)) == list(range(1, 151))


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_in_the_final_evaluation_ends_all_at_once(features, tmp_path, processes):
  workdir = tmp_path / "run"
  words = arguments(features, workdir, *STEPS, "--stopped_exit_code=75")
  started = start(
      [words] * processes, devices=3 - processes,
      module="tests.slow_report_child",
  )
  wait_for((workdir / "eval" / "msrvtt_retrieval_validate.json").exists)
  begin = time.monotonic()
  started[-1].send_signal(signal.SIGTERM)
  for code, _, error in finish(started, timeout=SOON):
    assert code == 75, error[-3000:]
    assert "Traceback" not in error
  assert time.monotonic() - begin < SOON
  assert {path.name for path in (workdir / "checkpoints").iterdir()} >= {"4"}


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_other_with_its_last_step(features, tmp_path, killed):
  started = started_training(features, tmp_path / "run")
  begin = time.monotonic()
  started[killed].kill()
  other = 1 - killed
  code, _, error = finish([started[other]], timeout=SOON)[0]
  assert time.monotonic() - begin < SOON
  assert code != 0
  if killed == 0:  # JAX ends a process without its service.
    assert "Thread 0x" in error
    assert "error: process 1 was ended from outside, or by a library: at step " in error
  else:
    assert "error: this process, 0, failed at step " in error
  _, error = started[killed].communicate()
  assert f"error: process {killed} was ended from outside, or by a library: at step " in error


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_process_that_no_longer_answers_ends_the_other_with_its_last_step(
    features, tmp_path, stopped
):
  started = started_training(features, tmp_path / "run")
  begin = time.monotonic()
  started[stopped].send_signal(signal.SIGSTOP)  # It does not answer, and does not die.
  code, _, error = finish([started[1 - stopped]], timeout=120)[0]
  started[stopped].kill()
  assert time.monotonic() - begin < SILENT_SECONDS + SOON
  assert code == 1, error[-6000:]
  # Gloo, which the CPU has, gives up half a minute before `peers`.
  assert f"this process, {1 - stopped}, " in error
  assert re.search(r"(failed|was) at step \d+", error)
  assert "Traceback" in error or "Thread 0x" in error


@pytest.mark.parametrize("stopped", [0, 1])
def test_outside_of_a_collective_the_other_finds_out_by_itself(features, tmp_path, stopped):
  """While the report is made: process 0 is busy with it, process 1 waits for it."""
  workdir = tmp_path / "run"
  words = arguments(features, workdir, *STEPS)
  started = start([words] * 2, module="tests.slow_report_child")
  wait_for((workdir / "eval" / "msrvtt_retrieval_validate.json").exists)
  begin = time.monotonic()
  started[stopped].send_signal(signal.SIGSTOP)
  code, _, error = finish([started[1 - stopped]], timeout=180)[0]
  started[stopped].kill()
  assert time.monotonic() - begin < SILENT_SECONDS + SOON
  assert code == 1, error[-6000:]
  assert f"error: process {stopped} has not answered for {SILENT_SECONDS:g} s" in error
  assert f"this process, {1 - stopped}, was at " in error and "Thread 0x" in error
