"""The commands as a user runs them, on a tiny dataset: train, kill, resume, evaluate, report."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from mla_jax import checkpoints, config_lib, train_lib
from tests import bert_checkpoint, tiny
from tests.commands import (
    ROOT,
    checkpoint_arrays,
    command,
    environment,
    evaluation,
    kill_after_checkpoint,
    last_line,
    run,
    wait_for,
)

RETRIEVAL = "msrvtt_mini_retrieval.py:debug"
SIX_STEPS = ("--config.train.steps=6", "--config.train.checkpoint_every=3")


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, features: pathlib.Path
) -> pathlib.Path:
  """A workdir of six retrieval steps, never interrupted."""
  workdir = tmp_path_factory.mktemp("trained")
  last_line(run(command(RETRIEVAL, features, workdir, *SIX_STEPS)))
  return workdir


def check_outputs(workdir: pathlib.Path, result: dict[str, Any]) -> list[dict[str, Any]]:
  """The files of an evaluation agree with its printed result; returns the dump."""
  name = f"{result['dataset']}_{result['split']}"
  name += f"_data_{result['other_data']}" if "other_data" in result else ""
  assert json.loads((workdir / "eval" / f"{name}.json").read_text()) == result
  page = (workdir / "report" / f"{name}.html").read_text()
  assert "data:image/png;base64" in page
  assert 'src="http' not in page
  return [json.loads(line) for line in (workdir / "eval" / f"{name}.jsonl").open()]


def test_retrieval_scores_are_those_of_its_dump(trained):
  result = last_line(run(evaluation(trained)))
  dump = check_outputs(trained, result)
  assert len(dump) == 30
  hits = np.mean([row["rank"] <= 1 for row in dump]) * 100
  assert result["text_to_video"]["recall_at_1"] == pytest.approx(hits)
  assert result["text_to_video"]["gallery"] == 10
  assert list(trained.glob("events.out.tfevents*"))


def test_qa_trains_evaluates_and_scores_another_hold_out(features, tmp_path):
  """Evaluating needs the workdir and the split alone, whatever its names and sizes."""
  workdir = tmp_path / "work"
  result = last_line(run(command("msrvtt_mini_qa.py:debug", features, workdir)))
  dump = check_outputs(workdir, result)
  assert len(dump) == 20
  assert result["accuracy"] == pytest.approx(100 * np.mean([row["correct"] for row in dump]))
  assert 0 < result["ceiling"] <= 100
  other = tiny.prepare(tmp_path / "other", videos=13, first=500)
  shutil.rmtree(other / "msrvtt" / "timed_captions")
  shutil.rmtree(other / "msrvtt" / "retrieval")
  (other / "msrvtt" / "qa" / "tokenizer.model").unlink()
  (other / "msrvtt" / "qa" / "answers.json").unlink()
  found = last_line(
      run(evaluation(workdir, f"--config.data.dir={other}", "--step=latest"))
  )
  assert found["questions"] == 2 * sum(n % 4 == 3 for n in range(500, 513))
  assert len(check_outputs(workdir, found)) == found["questions"]
  assert "other_data" not in result
  assert check_outputs(workdir, result) == dump  # Neither replaces the other.


@pytest.mark.slow  # tests/configs_test.py trains from frames too.
def test_pixels_train_from_frames(tmp_path):
  frames = tiny.prepare(tmp_path, media="frames", videos=24)
  workdir = tmp_path / "work"
  result = last_line(run(command("msrvtt_mini_retrieval.py:pixels,debug", frames, workdir)))
  check_outputs(workdir, result)
  assert "data:image/jpeg;base64" in next((workdir / "report").glob("*.html")).read_text()


def test_rows_made_by_a_process_of_their_own_train_the_same(trained, features, tmp_path):
  last_line(
      run(command(RETRIEVAL, features, tmp_path, *SIX_STEPS, "--config.data.workers=1"))
  )
  expected, found = checkpoint_arrays(trained, 6), checkpoint_arrays(tmp_path, 6)
  for name, value in expected.items():
    np.testing.assert_array_equal(value, found[name], err_msg=name)


def test_six_steps_are_three_steps_killed_and_three_more(trained, features, tmp_path):
  arguments = command(RETRIEVAL, features, tmp_path, *SIX_STEPS)
  kill_after_checkpoint(arguments, tmp_path / "checkpoints" / "3")
  assert not (tmp_path / "eval").exists()
  resumed = run(arguments)
  assert "from step 3 to 6" in resumed.stderr
  last_line(resumed)
  expected, found = checkpoint_arrays(trained, 6), checkpoint_arrays(tmp_path, 6)
  assert expected.keys() == found.keys()
  assert len(expected) > 20
  for name, value in expected.items():
    np.testing.assert_array_equal(value, found[name], err_msg=name)
  lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
  assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]
  assert [line["step"] for line in lines if "compile_seconds" in line] == [1, 4]


@pytest.mark.slow
def test_a_run_goes_on_over_another_mesh_by_another_way(trained, features, tmp_path):
  """Whole parameters on both devices, then divided ones and ring losses."""
  arguments = command(RETRIEVAL, features, tmp_path, *SIX_STEPS)
  kill_after_checkpoint(arguments, tmp_path / "checkpoints" / "3")
  keys = {"mesh.data": 1, "mesh.fsdp": 2, "sharding.min_size": 0, "loss.impl": "ring"}
  more = [f"--config.{key}={value}" for key, value in keys.items()]
  resumed = run([*arguments, *more])
  assert "goes on with" in resumed.stderr and "from step 3 to 6" in resumed.stderr
  assert checkpoint_arrays(trained, 6).keys() == checkpoint_arrays(tmp_path, 6).keys()
  logs = [map(json.loads, (folder / "metrics.jsonl").open()) for folder in (trained, tmp_path)]
  losses = [[line["loss"] for line in log if "loss" in line] for log in logs]
  assert len(losses[0]) == 6
  np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


@pytest.mark.slow
def test_pretrained_weights_are_needed_at_the_start_alone(features, tmp_path):
  """Killed, resumed and evaluated where their folder is gone; what is frozen is still as it was."""
  folder, workdir = tmp_path / "bert", tmp_path / "work"
  sizes = {"num_hidden_layers": 2, "hidden_size": 16, "max_position_embeddings": 512}
  tensors = bert_checkpoint.write(folder, sizes)
  text = {"pretrained": folder, "layers": 2, "frozen_layers": 1}
  text["vocab_size"] = len(bert_checkpoint.VOCABULARY)
  more = [f"--config.model.text.{key}={value}" for key, value in text.items()]
  name = "msrvtt_mini_retrieval.py:minilm,debug"
  arguments = command(name, features, workdir, *SIX_STEPS, *more)
  kill_after_checkpoint(arguments, workdir / "checkpoints" / "3")
  shutil.rmtree(folder)
  resumed = run(arguments)
  assert "from step 3 to 6" in resumed.stderr
  check_outputs(workdir, last_line(resumed))
  found = checkpoint_arrays(workdir, 6)
  for tree in ("params", "ema_params"):
    bert = f"['{tree}']['text']['bert']"
    query = found[f"{bert}['layer_0']['attention']['query_key_value']['kernel']"][:, :16]
    layer = "encoder.layer.{}.attention.self.query.weight"
    np.testing.assert_array_equal(query.T, tensors[layer.format(0)])
    word = found[f"{bert}['word']['embedding']"]
    np.testing.assert_array_equal(word, tensors["embeddings.word_embeddings.weight"])
    trained = found[f"{bert}['layer_1']['attention']['query_key_value']['kernel']"][:, :16].T
    change = np.abs(trained - tensors[layer.format(1)]).max()
    assert 1e-4 < change < 0.1
  moments = [key for key in found if "opt_state" in key and "['bert']" in key]
  assert moments
  assert all("['layer_1']" in key for key in moments)


def test_sigterm_saves_and_exits_0(features, tmp_path):
  more = [f"--config.train.{key}=100000" for key in ("steps", "checkpoint_every", "eval_every")]
  process = subprocess.Popen(
      command(RETRIEVAL, features, tmp_path, *more),
      cwd=ROOT,
      stderr=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      env=environment(),
  )
  log = tmp_path / "metrics.jsonl"
  wait_for(lambda: log.exists() and log.stat().st_size > 0)
  process.send_signal(signal.SIGTERM)
  _, error = process.communicate(timeout=120)
  assert process.returncode == 0, error[-2000:]
  kept = [int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdecimal()]
  assert len(kept) == 1
  assert kept[0] > 0


def test_sigterm_while_the_last_checkpoint_is_saved_leaves_the_evaluation_to_the_next_start(
    trained, monkeypatch, tmp_path
):
  workdir = tmp_path / "run"
  shutil.copytree(trained, workdir)
  config = config_lib.read_config(workdir / "config.json")
  close = checkpoints.Checkpointer.close

  def told_to_stop(saved: checkpoints.Checkpointer) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    close(saved)

  with monkeypatch.context() as patched:
    patched.setattr(checkpoints.Checkpointer, "close", told_to_stop)
    assert train_lib.train(config, workdir) is None
  assert train_lib.train(config, workdir) is not None


@pytest.mark.slow
def test_an_evaluation_that_stands_still_ends_and_says_where(trained, tmp_path):
  workdir = tmp_path / "run"
  shutil.copytree(trained, workdir)
  more = evaluation(workdir, "--config.train.hang_seconds=15")[3:]
  found = run([sys.executable, "-m", "tests.slow_report_child", *more])
  assert found.returncode == 1
  assert re.search(
      r"error: nothing happened for 15 s since the evaluation of step \d: writing", found.stderr
  )
  assert "slow_report_child.py" in found.stderr  # The stack.


def test_other_data_is_evaluated_on_without_what_was_trained_on(
    features: pathlib.Path, trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  plain = last_line(run(evaluation(trained)))
  held = tmp_path / "msrvtt"
  held.mkdir()
  for name in ("retrieval", "media"):  # And no timed captions, which are trained on too.
    (held / name).symlink_to(features / "msrvtt" / name)
  assert "timed" in json.loads((trained / "config.json").read_text())["data"]["sources"]
  found = last_line(run([*evaluation(trained), f"--config.data.dir={tmp_path}"]))
  assert found["text_to_video"] == plain["text_to_video"]


def test_a_workdir_of_another_config_is_refused(trained, features):
  for more in (["--config.model.width=64"], ["--mode=eval", "--config.model.width=64"]):
    found = run(command(RETRIEVAL, features, trained, *SIX_STEPS, *more))
    assert found.returncode != 0
    assert "Traceback" not in found.stderr
    assert "width" in found.stderr.splitlines()[-1]


@pytest.mark.slow
def test_probes_spoil_the_inputs_of_a_trained_run(
    features: pathlib.Path, trained: pathlib.Path
) -> None:
  plain = last_line(run(evaluation(trained)))
  command_line = [sys.executable, "-m", "mla_jax.probe", f"--workdir={trained}"]
  result = last_line(run(command_line))
  found = result["probes"]
  assert found["none"] == plain["text_to_video"]["recall_at_1"]
  assert set(found) == {
      "none", "no_video", "one_frame", "shuffled_frames", "reversed_frames", "half_the_frames",
      "twice_the_frames", "swapped_phrases", "video_to_text", "swapped_distractors", "order_told",
  }
  assert found["video_to_text"] == plain["video_to_text"]["recall_at_1"]
  assert found["swapped_distractors"] <= found["video_to_text"]
  # Two kinds of video are left, those of three frames and those of six: near chance.
  assert found["no_video"] == pytest.approx(100.0 / plain["videos"], abs=10.0)
  name = f"probes_{result['dataset']}_{result['split']}.json"
  assert json.loads((trained / "eval" / name).read_text()) == result
