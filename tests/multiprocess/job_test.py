"""Real processes on this machine are one run: same losses, exact evaluation, checkpoints shared."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.commands import environment
from tests.multiprocess.jobs import ROOT, STEPS, arguments, finish, losses, start, succeed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one(tmp_path_factory, features):
  """A run of one process with two devices, and its printed result."""
  workdir = tmp_path_factory.mktemp("one")
  ((_, out, _),) = succeed(start([arguments(features, workdir, *STEPS)], devices=2))
  return workdir, json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def two(tmp_path_factory, features):
  """The same of two processes with one device each."""
  workdir = tmp_path_factory.mktemp("two")
  found = succeed(start([arguments(features, workdir, *STEPS)] * 2))
  assert "recall_at_1" not in found[1][1]  # The first alone prints the result.
  return workdir, json.loads(found[0][1].splitlines()[-1])


def scores(workdir):
  """Of each text of the last evaluation with its own video."""
  lines = (workdir / "eval" / "msrvtt_retrieval_validate.jsonl").read_text().splitlines()
  return {row["id"]: row["score"] for row in map(json.loads, lines)}


def assert_same_scores(found, wanted, atol=1e-5):
  """Not the ranks: texts that are said of two videos tie but for the last bit."""
  assert list(found) == list(wanted) and len(wanted) == 30
  np.testing.assert_allclose(list(found.values()), list(wanted.values()), atol=atol)


def test_two_processes_train_and_evaluate_as_one(one, two):
  (workdir, result), (other, of_two) = one, two
  assert losses(workdir).keys() == {1, 2, 3, 4}
  np.testing.assert_allclose(
      list(losses(other).values()), list(losses(workdir).values()), rtol=1e-5
  )
  for direction in ("text_to_video", "video_to_text"):
    assert of_two[direction]["queries"] == result[direction]["queries"]
  assert_same_scores(scores(other), scores(workdir))
  assert len(list((other / "report").iterdir())) == 1


def test_two_processes_go_on_as_one(features, two, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(two[0], workdir)
  shutil.rmtree(workdir / "checkpoints" / "4")
  succeed(start([arguments(features, workdir, *STEPS)], devices=2))
  np.testing.assert_allclose(
      list(losses(workdir).values()), list(losses(two[0]).values()), rtol=1e-5
  )


def test_four_processes_go_on_from_one_and_evaluate_as_one_does(features, one, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(one[0], workdir)
  shutil.rmtree(workdir / "checkpoints" / "4")
  succeed(start([arguments(features, workdir, *STEPS)] * 4))
  np.testing.assert_allclose(
      list(losses(workdir).values()), list(losses(one[0]).values()), rtol=1e-5
  )
  # What the four have saved is read by one, which must find what they did.
  of_four = scores(workdir)
  succeed(start([["--mode=eval", f"--workdir={workdir}"]], devices=2))
  assert_same_scores(scores(workdir), of_four, atol=1e-6)


def test_a_state_in_parts_over_two_processes_is_the_whole_one(features, one, tmp_path):
  """Parameters, moments and average live in four parts; so do the losses, as a ring."""
  workdir = tmp_path / "run"
  split = (
      "--config.mesh.data=1", "--config.mesh.fsdp=-1", "--config.sharding.min_size=0",
      "--config.loss.impl=ring", "--config.eval.batch_size=3",
  )
  words = arguments(features, workdir, *STEPS, *split)
  succeed(start([words] * 2, devices=2))
  np.testing.assert_allclose(
      list(losses(workdir).values()), list(losses(one[0]).values()), rtol=1e-5
  )
  of_two = scores(workdir)
  whole = ("--config.mesh.data=-1", "--config.mesh.fsdp=1", "--config.eval.batch_size=8")
  succeed(start([["--mode=eval", f"--workdir={workdir}", *whole]]))
  assert_same_scores(scores(workdir), of_two, atol=1e-6)


def test_processes_that_would_evaluate_differently_stop(two):
  each = [["--mode=eval", f"--workdir={two[0]}", f"--config.eval.nms=0.{n}"] for n in (4, 5)]
  found = finish(start(each), timeout=300)
  assert [code for code, *_ in found] == [1, 1]
  for *_, error in found:
    assert "process 1 and process 0 differ: config.eval.nms: 0.4 in 0, 0.5" in error


def test_the_launcher_starts_the_same_job(features, two, tmp_path):
  workdir = tmp_path / "run"
  compiling = {
      name: value for name, value in environment(1).items() if name.startswith(("JAX_", "XLA_"))
  }
  done = subprocess.run(
      [ROOT / "launch" / "local.sh", "-n", "2", "--", *arguments(features, workdir, *STEPS)],
      env={"PATH": os.environ["PATH"], "PYTHON": sys.executable, **compiling},
      capture_output=True, text=True, timeout=600, check=False,
  )
  assert done.returncode == 0, done.stderr[-3000:]
  result = json.loads(done.stdout.splitlines()[-1])
  assert result["text_to_video"]["queries"] == two[1]["text_to_video"]["queries"]
  # The script's flags of XLA are not the tests', and so is its last bit.
  np.testing.assert_allclose(
      list(losses(workdir).values()), list(losses(two[0]).values()), rtol=1e-5
  )
  assert_same_scores(scores(workdir), scores(two[0]))
