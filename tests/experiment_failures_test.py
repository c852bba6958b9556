"""The command where nothing came of it: what was there stays, and the message leads to the logs."""

import pathlib
import subprocess
import sys

import pytest

from tests.experiments import grid
from tests.experiments.plan_test import experiment_file

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The command in a process of its own, since flags are one name each; all its runs fail.
_COMMAND = """
from absl import app
from mla_jax import config_lib, experiment
from mla_jax.experiments import outcomes
outcomes.command = lambda *unused: ["-c", "raise SystemExit('no memory')"]
app.run(experiment.main, flags_parser=config_lib.parse_flags)
"""


@pytest.fixture
def command(tmp_path):
  grid.prepare(tmp_path)
  grid.runs(tmp_path)  # Its config.
  path = experiment_file(tmp_path, config=f"'{tmp_path / 'config.py'}'", cells="(Cell('a'),)")

  def run(*more):
    words = [path, f"--out={tmp_path / 'out'}", f"--config.data.dir={tmp_path / 'data'}", *more]
    return subprocess.run(
        [sys.executable, "-c", _COMMAND, *words], cwd=ROOT, capture_output=True, text=True,
        check=False)

  return run


def test_results_are_not_replaced_by_a_table_of_failures(tmp_path, command):
  results = tmp_path / "out" / "results.json"
  results.parent.mkdir()
  results.write_text("of an earlier day")
  log = tmp_path / "out" / "runs" / "a" / "seed_3" / "log.txt"
  ended = command()
  assert ended.returncode == 1
  error = ended.stderr.splitlines()[-1]
  assert error.startswith("error: all 2 runs failed: a/seed_3, a/seed_4: see ")
  assert str(log) in error
  assert "no memory" in log.read_text()
  assert results.read_text() == "of an earlier day"
  assert [path.name for path in (tmp_path / "out").glob("*.*")] == ["results.json"]


def test_a_seed_of_the_command_line(command):
  ended = command("--config.seed=7")
  assert ended.returncode == 1 and "use --seeds" in ended.stderr.splitlines()[-1]
