"""The command, on a tiny dataset: runs a grid, goes on where it was, lists what failed."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests import tiny
from tests.commands import environment

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXPERIMENT = """
from mla_jax.experiments.plan import Cell, Experiment
def get_experiment(arg=None):
  return Experiment(
      title="A grid",
      config="configs/msrvtt_mini_retrieval.py:debug",
      cells=(
          Cell("global", {"loss.segment_weight": 0.0}),
          Cell("both"),
          Cell("broken", {"data.sources.captions.rows": 1000}),
      ),
      seeds=(0, 1),
      metrics=("recall_at_1", "mean_rank"),
      numbers=("text_to_video/median_rank",),
      baseline="global",
      overrides={"train.steps": 2, "data.dev_fraction": 0.3, "data.eval_split": "dev"},
  )
"""

BROKEN = '          Cell("broken", {"data.sources.captions.rows": 1000}),\n'
WITHOUT_BROKEN = EXPERIMENT.replace(BROKEN, "")


@pytest.mark.slow
def test_a_grid_runs_lists_its_failures_and_is_not_run_twice(tmp_path):
  data = tiny.prepare(tmp_path)
  path = tmp_path / "grid.py"
  path.write_text(EXPERIMENT)
  command = [
      sys.executable, "-m", "mla_jax.experiment", str(path), f"--out={tmp_path / 'out'}",
      "--jobs=2", f"--config.data.dir={data}",
      f"--config.model.video.feature_width={tiny.FEATURES}",
  ]
  done = subprocess.run(
      command, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False
  )
  assert done.returncode == 1
  assert "error: 2 runs failed: broken/seed_0, broken/seed_1" in done.stderr
  means = json.loads(done.stdout.splitlines()[-1])
  assert set(means["both"]) == {"recall_at_1", "mean_rank", "text_to_video/median_rank"}
  assert means["broken"] == {}
  result = json.loads((tmp_path / "out" / "results.json").read_text())
  broken = next(r["error"] for r in result["runs"] if r["cell"] == "broken")
  assert "rows=1000: takes 1 to" in broken
  assert {r["metrics"]["split"] for r in result["runs"] if not r["error"]} == {"dev"}
  # The means are those of the runs' own evaluations.
  runs = [r["metrics"]["text_to_video"] for r in result["runs"] if r["cell"] == "both"]
  assert means["both"]["recall_at_1"] == pytest.approx(sum(r["recall_at_1"] for r in runs) / 2)
  assert means["both"]["mean_rank"] == pytest.approx(sum(r["mean_rank"] for r in runs) / 2)

  again = subprocess.run(
      command, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False
  )
  assert "4 finished earlier, 2 to do" in again.stderr
  assert json.loads(again.stdout.splitlines()[-1]) == means

  evaluated = subprocess.run(
      [*command, "--eval_split=validate"], cwd=ROOT, capture_output=True, text=True,
      env=environment(), check=False,
  )
  assert "2 runs are not finished (broken/seed_0, broken/seed_1)" in evaluated.stderr
  path.write_text(WITHOUT_BROKEN)
  evaluated = subprocess.run(
      [*command, "--eval_split=validate"], cwd=ROOT, capture_output=True, text=True,
      env=environment(), check=True,
  )
  result = json.loads((tmp_path / "out" / "validate" / "results.json").read_text())
  assert {r["metrics"]["split"] for r in result["runs"]} == {"validate"}
  assert "mla_jax.main --mode=eval" in result["runs"][0]["command"]
  assert "--config.data.dir=DATA" in result["command"]
  assert json.loads(evaluated.stdout.splitlines()[-1]).keys() == {"global", "both"}

  path.write_text(EXPERIMENT.replace('"train.steps": 2', '"train.steps": 3'))
  other = subprocess.run(
      command, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False
  )
  assert other.returncode == 1
  assert "was run with another config" in other.stderr
