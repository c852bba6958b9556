"""Real processes on this machine are one run: same losses, exact evaluation, stopped together."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from mla_jax import workdir_lock
from mla_jax.metrics import read_metrics
from tests import tiny

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = ("--config.train.steps=4", "--config.train.checkpoint_every=2")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  return tiny.prepare(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
  return tmp_path_factory.mktemp("cache")


def free_port() -> int:
  with socket.socket() as probe:
    probe.bind(("localhost", 0))
    return probe.getsockname()[1]


def arguments(data, workdir, *more):
  return [
      "--config=configs/msrvtt_mini_retrieval.py:debug",
      f"--workdir={workdir}",
      f"--config.data.dir={data}",
      "--config.data.dev_fraction=0.3",
      f"--config.model.video.feature_width={tiny.FEATURES}",
      "--config.eval.segment_score=0.5",
      *more,
  ]


def start(each, cache, *, devices=1):
  """One process for each list of arguments, joined into one job if there are several."""
  flags = os.environ["XLA_FLAGS"].replace("device_count=8", f"device_count={devices}")
  environment = os.environ | {"XLA_FLAGS": flags, "JAX_COMPILATION_CACHE_DIR": str(cache)}
  coordinator = f"--coordinator=localhost:{free_port()}"
  started = []
  for number, words in enumerate(each):
    job = [coordinator, f"--num_processes={len(each)}", f"--process_id={number}"]
    started.append(
        subprocess.Popen(
            [sys.executable, "-m", "mla_jax.main", *words, *(job if len(each) > 1 else ())],
            cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
    )
  return started


def finish(started, timeout=600):
  found = []
  try:
    for process in started:
      out, error = process.communicate(timeout=timeout)
      found.append((process.returncode, out, error))
  finally:
    for process in started:
      process.kill()
  return found


def succeed(started):
  found = finish(started)
  for code, _, error in found:
    assert code == 0, error[-3000:]
  return found


def losses(workdir):
  lines = read_metrics(workdir / "metrics.jsonl")
  return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.fixture(scope="module")
def one(tmp_path_factory, data, cache):
  """A run of one process with two devices, and its printed result."""
  workdir = tmp_path_factory.mktemp("one")
  ((_, out, _),) = succeed(start([arguments(data, workdir, *STEPS)], cache, devices=2))
  return workdir, json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def two(tmp_path_factory, data, cache):
  """The same of two processes with one device each."""
  workdir = tmp_path_factory.mktemp("two")
  found = succeed(start([arguments(data, workdir, *STEPS)] * 2, cache))
  assert "recall_at_1" not in found[1][1]  # The first alone prints the result.
  return workdir, json.loads(found[0][1].splitlines()[-1])


def test_two_processes_train_and_evaluate_as_one(one, two):
  (workdir, result), (other, of_two) = one, two
  assert losses(workdir).keys() == {1, 2, 3, 4}
  np.testing.assert_allclose(
      list(losses(other).values()), list(losses(workdir).values()), rtol=1e-5
  )
  for direction in ("text_to_video", "video_to_text"):
    ours, theirs = of_two[direction], result[direction]
    assert ours["queries"] == theirs["queries"]
    assert ours["recall_at_5"] == pytest.approx(theirs["recall_at_5"], abs=4)  # Ranks may swap.
  assert len((other / "eval" / "msrvtt_retrieval_validate.jsonl").read_text().splitlines()) == 30
  assert len(list((other / "report").iterdir())) == 1


def test_two_processes_go_on_as_one(data, cache, two, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(two[0], workdir)
  shutil.rmtree(workdir / "checkpoints" / "4")
  succeed(start([arguments(data, workdir, *STEPS)], cache, devices=2))
  np.testing.assert_allclose(
      list(losses(workdir).values()), list(losses(two[0]).values()), rtol=1e-5
  )


def test_processes_that_would_do_different_things_stop_at_the_start(data, cache, tmp_path):
  workdir = tmp_path / "run"
  each = [arguments(data, workdir), arguments(data, workdir, "--config.loss.segment_weight=0.25")]
  for code, _, error in finish(start(each, cache)):
    assert code == 1
    assert "process 1 and process 0 differ: config.loss.segment_weight: 0.5 in 0, 0.25" in error
  assert not (workdir / "config.json").exists()


def test_a_workdir_that_another_job_trains_in_ends_all_processes(data, cache, tmp_path):
  workdir = tmp_path / "run"
  workdir.mkdir()
  with workdir_lock.held(workdir):
    found = finish(start([arguments(data, workdir, *STEPS)] * 2, cache), timeout=300)
  assert all(code == 1 for code, *_ in found)
  assert f"error: {workdir}: another job is training in it" in found[0][2]
  assert {path.name for path in workdir.iterdir()} == {workdir_lock.FILE}


def test_sigterm_to_one_stops_all_with_all_saved_and_the_code_to_go_on(data, cache, tmp_path):
  workdir = tmp_path / "run"
  many = (
      "--config.train.steps=100000", "--config.train.eval_every=100000", "--stopped_exit_code=75",
  )
  started = start([arguments(data, workdir, *many)] * 2, cache)
  deadline = time.monotonic() + 300
  while not losses(workdir) and time.monotonic() < deadline:
    time.sleep(0.2)
  started[1].send_signal(signal.SIGTERM)
  for code, _, error in finish(started):
    assert code == 75, error[-3000:]
  saved = [int(path.name) for path in (workdir / "checkpoints").iterdir()]
  assert max(saved) >= 1
  assert max(saved) % 2 or max(saved) == max(losses(workdir))


def test_a_process_that_is_killed_ends_the_job_with_its_last_step(data, cache, tmp_path):
  workdir = tmp_path / "run"
  many = (
      "--config.train.steps=100000", "--config.train.eval_every=100000",
      "--config.train.checkpoint_every=100000", "--config.train.hang_seconds=20",
  )
  started = start([arguments(data, workdir, *many)] * 2, cache)
  deadline = time.monotonic() + 300
  while not losses(workdir) and time.monotonic() < deadline:
    time.sleep(0.2)
  started[1].send_signal(signal.SIGSTOP)  # It does not answer, and does not die.
  code, _, error = finish(started[:1], timeout=120)[0]
  started[1].kill()
  assert code == 1
  assert "error: nothing happened for 20 s since step" in error
  assert "Thread 0x" in error
