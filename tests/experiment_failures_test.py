"""The command where nothing came of it: what was there stays, and the message leads to the logs."""

import sys
import types

from absl import flags
from absl.testing import flagsaver
import pytest

from mla_jax import experiment
from mla_jax.errors import UserError
from mla_jax.experiments import outcomes
from tests.experiments import grid
from tests.experiments.plan_test import experiment_file


@pytest.fixture
def command(tmp_path, monkeypatch):
  """Runs the command; all its runs fail."""
  for name in ("analysis", "write"):  # Not to be asked, and slow to import.
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, f"mla_jax.experiments.{name}", module)
    monkeypatch.setattr(f"mla_jax.experiments.{name}", module, raising=False)
  grid.prepare(tmp_path)
  path = experiment_file(tmp_path, config=f"'{tmp_path / 'config.py'}'", cells="(Cell('a'),)")
  grid.runs(tmp_path)  # Its config.
  monkeypatch.setattr(outcomes, "command", lambda *unused: ["-c", "raise SystemExit('no memory')"])

  def run(**given):
    values = {"config_override": [f"data.dir={tmp_path / 'data'}"]}
    with flagsaver.flagsaver(**(values | given)):
      experiment._run(path, tmp_path / "out")

  flags.FLAGS.mark_as_parsed()
  yield run
  flags.FLAGS.unparse_flags()


def test_results_are_not_replaced_by_a_table_of_failures(tmp_path, command):
  results = tmp_path / "out" / "results.json"
  results.parent.mkdir()
  results.write_text("of an earlier day")
  log = tmp_path / "out" / "runs" / "a" / "seed_3" / "log.txt"
  with pytest.raises(UserError, match="all 2 runs failed: a/seed_3, a/seed_4: see ") as error:
    command()
  assert str(log) in str(error.value)
  assert "no memory" in log.read_text()
  assert results.read_text() == "of an earlier day"
  assert [path.name for path in (tmp_path / "out").glob("*.*")] == ["results.json"]


def test_a_seed_of_the_command_line(command):
  with pytest.raises(UserError, match="use --seeds"):
    command(config_override=["seed=7"])
