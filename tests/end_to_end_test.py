"""The commands as a user runs them, on a tiny dataset: train, kill, resume, evaluate, report."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def features(tmp_path_factory) -> pathlib.Path:
  return tiny.prepare(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="session")
def frames(tmp_path_factory) -> pathlib.Path:
  return tiny.prepare(tmp_path_factory.mktemp("frames"), media="frames")


def command(config: str, data: pathlib.Path, workdir: pathlib.Path, *more: str) -> list[str]:
  return [
      sys.executable,
      "-m",
      "mla_jax.main",
      f"--config=configs/{config}",
      f"--workdir={workdir}",
      f"--config.data.dir={data}",
      "--config.data.dev_fraction=0.3",
      f"--config.model.video.feature_width={tiny.FEATURES}",
      *more,
  ]


def run(arguments: list[str], **kwargs) -> subprocess.CompletedProcess:
  return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, **kwargs)


def last_line(found: subprocess.CompletedProcess) -> dict:
  assert found.returncode == 0, found.stderr[-3000:]
  return json.loads(found.stdout.splitlines()[-1])


def checkpoint_arrays(workdir: pathlib.Path, step: int) -> dict[str, np.ndarray]:
  """Every leaf of a checkpoint, read without this package's own code."""
  import orbax.checkpoint as ocp

  tree = ocp.StandardCheckpointer().restore(workdir.absolute() / "checkpoints" / str(step) / "state")
  import jax

  return {
      jax.tree_util.keystr(path): np.asarray(leaf)
      for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


@pytest.mark.parametrize(
    "config", ["msrvtt_mini_retrieval.py:debug", "msrvtt_mini_qa.py:debug"]
)
def test_train_evaluate_and_report(config, features, tmp_path):
  trained = last_line(run(command(config, features, tmp_path)))
  again = run([sys.executable, "-m", "mla_jax.main", "--mode=eval", f"--workdir={tmp_path}"])
  assert last_line(again) == trained
  name = f"{trained['dataset']}_{trained['split']}"
  assert json.loads((tmp_path / "eval" / f"{name}.json").read_text()) == trained
  dump = [json.loads(line) for line in (tmp_path / "eval" / f"{name}.jsonl").open()]
  assert len(dump) == (30 if "retrieval" in config else 20)
  page = (tmp_path / "report" / f"{name}.html").read_text()
  assert "<html" in page and "src=\"http" not in page and "data:image/png;base64" in page
  if "retrieval" in config:
    hits = np.mean([row["rank"] <= 1 for row in dump]) * 100
    assert trained["text_to_video"]["recall_at_1"] == pytest.approx(hits)
    assert trained["text_to_video"]["gallery"] == 10
  else:
    assert trained["accuracy"] == pytest.approx(100 * np.mean([row["correct"] for row in dump]))
    assert 0 < trained["ceiling"] <= 100


def test_pixels_train_from_frames(frames, tmp_path):
  trained = last_line(run(command("msrvtt_mini_retrieval.py:pixels,debug", frames, tmp_path)))
  assert trained["text_to_video"]["gallery"] == 10
  assert "data:image/jpeg;base64" in next((tmp_path / "report").glob("*.html")).read_text()


def test_six_steps_are_three_steps_killed_and_three_more(features, tmp_path):
  steps = ["--config.train.steps=6", "--config.train.checkpoint_every=3"]
  config = "msrvtt_mini_retrieval.py:debug"
  whole, parts = tmp_path / "whole", tmp_path / "parts"
  last_line(run(command(config, features, whole, *steps)))
  _kill_after_checkpoint(command(config, features, parts, *steps), parts / "checkpoints" / "3")
  assert not (parts / "eval").exists()
  resumed = run(command(config, features, parts, *steps))
  assert "from step 3 to 6" in resumed.stderr
  last_line(resumed)
  expected, found = checkpoint_arrays(whole, 6), checkpoint_arrays(parts, 6)
  assert expected.keys() == found.keys() and len(expected) > 20
  for name, value in expected.items():
    np.testing.assert_array_equal(value, found[name], err_msg=name)
  lines = [json.loads(line) for line in (parts / "metrics.jsonl").open()]
  steps_logged = [line["step"] for line in lines if "loss" in line]
  assert steps_logged == sorted(set(steps_logged)) and steps_logged[-1] == 6


def test_sigterm_saves_and_exits_0(features, tmp_path):
  more = ["--config.train.steps=100000", "--config.train.checkpoint_every=100000",
          "--config.train.eval_every=100000"]
  process = subprocess.Popen(
      command("msrvtt_mini_retrieval.py:debug", features, tmp_path, *more),
      cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
  )
  _wait_for(lambda: (tmp_path / "metrics.jsonl").exists() and (tmp_path / "metrics.jsonl").stat().st_size)
  process.send_signal(signal.SIGTERM)
  _, error = process.communicate(timeout=60)
  assert process.returncode == 0, error[-2000:]
  kept = [int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdecimal()]
  assert len(kept) == 1 and kept[0] > 0


def test_evaluating_needs_the_workdir_and_the_split_alone(features, tmp_path):
  """Another hold-out in the same layout, other names and sizes, evaluated with this checkpoint."""
  workdir = tmp_path / "work"
  last_line(run(command("msrvtt_mini_qa.py:debug", features, workdir)))
  other = tiny.prepare(tmp_path / "other", videos=13, first=500)
  shutil.rmtree(other / "msrvtt" / "timed_captions")
  shutil.rmtree(other / "msrvtt" / "retrieval")
  (other / "msrvtt" / "qa" / "tokenizer.model").unlink()
  (other / "msrvtt" / "qa" / "answers.json").unlink()
  found = last_line(run([
      sys.executable, "-m", "mla_jax.main", "--mode=eval", f"--workdir={workdir}",
      f"--config.data.dir={other}", "--step=latest",
  ]))
  assert found["questions"] == 2 * sum(n % 4 == 3 for n in range(500, 513))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--config.data.bach_size=3"], "no such key"),
        (["--config.train.steps=abc"], "train.steps"),
        (["--config.data.sources.captions.rows=1000"], "larger than its"),
        (["--config.data.eval_split=nothing"], "no split 'nothing'"),
        (["--config.optimizer.learning_rate=1e30", "--config.optimizer.clip_norm=0.0"], "not finite"),
        (["--config.optimizer.freeze=('txt/.*',)"], "matches no parameter"),
        (["--config.model.video.kind=pixels"], "holds features"),
        (["--config.model.video.feature_width=7"], "are 16 wide"),
        (["--config.data.dir=nowhere"], "prepare it"),
        (["--workdir=/proc/nowhere"], "/proc/nowhere"),
    ],
)
def test_bad_input_is_one_clear_line(more, message, features, tmp_path):
  found = run(command("msrvtt_mini_retrieval.py:debug", features, tmp_path, *more))
  assert found.returncode != 0
  assert "Traceback" not in found.stderr
  errors = [line for line in found.stderr.splitlines() if "error:" in line or "FATAL" in line]
  assert len(errors) == 1 and message in errors[0], found.stderr[-2000:]


def test_a_workdir_of_another_config_is_refused(features, tmp_path):
  config = "msrvtt_mini_retrieval.py:debug"
  last_line(run(command(config, features, tmp_path)))
  for more in (["--config.model.width=64"], ["--mode=eval", "--config.model.width=64"]):
    found = run(command(config, features, tmp_path, *more))
    assert found.returncode != 0 and "Traceback" not in found.stderr
    assert "width" in found.stderr.splitlines()[-1]


def _kill_after_checkpoint(arguments: list[str], checkpoint: pathlib.Path) -> None:
  process = subprocess.Popen(
      arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
  )
  _wait_for(checkpoint.exists)
  os.kill(process.pid, signal.SIGKILL)
  process.wait()


def _wait_for(condition, seconds: float = 120.0) -> None:
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, "timed out"
    time.sleep(0.02)
