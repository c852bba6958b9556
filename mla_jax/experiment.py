"""Runs a grid of settings times seeds and says what differs.

python -m mla_jax.experiment configs/experiments/NAME.py[:ARG] --out=DIR [--jobs=N]
    [--cells=A,B] [--seeds=0,1,2] [--eval_split=SPLIT] [--config.data.dir=DIR]

The same command goes on where it was stopped. DIR gets results.json, results.md and report.html;
the last line of standard output is the JSON of the cells' means. Choose by them, and then, once,
with --eval_split=SPLIT: the checkpoints of the finished runs on that split, into DIR/SPLIT.
"""

from collections.abc import Mapping, Sequence
import json
import pathlib
import shlex
from typing import TYPE_CHECKING, Any

from absl import app, flags

from mla_jax import config_lib, log
from mla_jax.errors import UserError, check_folder, exit_on_user_error

if TYPE_CHECKING:
  from mla_jax.experiments.outcomes import Outcome

config_lib.define_override_flags()
_OUT = flags.DEFINE_string("out", None, "Folder of the experiment: runs, results, report.")
_JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time; they share the cores.")
_EVAL_SPLIT = flags.DEFINE_string(
    "eval_split", None, "Evaluates the finished runs on this split instead of training."
)
_CELLS = flags.DEFINE_list("cells", None, "These alone, the baseline among them.")
_BASELINE = flags.DEFINE_string("baseline", None, "In place of the experiment's own.")
_SEEDS = flags.DEFINE_list("seeds", None, "In place of the experiment's own.")


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) != 2:
    raise UserError("usage: python -m mla_jax.experiment configs/experiments/NAME.py --out=DIR")
  if not _OUT.value:
    raise UserError("--out: not given; name the folder of the experiment")
  check_folder("--out", _OUT.value)
  overrides = config_lib.overrides_given()
  check_folder("--config.data.dir", overrides.get("data.dir"))
  if _JOBS.value < 1:
    raise UserError(f"--jobs={_JOBS.value}: must be at least 1")
  log.configure()
  # Imported late: --help needs none of it.
  from mla_jax.experiments import children

  with children.exit_on_signals():
    _run(argv[1], pathlib.Path(_OUT.value), overrides)


def _run(path: str, out: pathlib.Path, overrides: Mapping[str, Any]) -> None:
  from mla_jax.experiments import outcomes, plan, runner

  split = _EVAL_SPLIT.value
  experiment = plan.load_experiment(path, _CELLS.value, _SEEDS.value, _BASELINE.value)
  runs = plan.plan_runs(experiment, overrides)
  # Later still: what is wrong with the plan is said at once.
  from mla_jax.experiments import analysis, findings, write

  def tell(count: int, outcome: outcomes.Outcome) -> None:
    ended = outcome.error or f"{outcome.seconds:.0f} s"
    log.logger.info("%d of %d: %s: %s", count, len(runs), outcome.run.name, ended)

  found = runner.run_all(runs, out, jobs=_JOBS.value, split=split, tell=tell)
  failed = [outcome for outcome in found if outcome.error]
  if len(failed) == len(found):  # Nothing to show, and there may be a table of an earlier day.
    raise UserError(f"all {_failures(failed)}; no results are written")
  rows = analysis.analyse(experiment, found)
  left_out = outcomes.others(runs, out, split)
  into = out / split if split else out
  write.write(
      into, findings.Findings(experiment, _typed(path, overrides), found, rows, left_out)
  )
  print((into / "results.md").read_text())
  print(f"report: {into / 'report.html'}")
  print(json.dumps({row.cell: {k: s.mean for k, s in row.scores.items()} for row in rows}))
  if failed:
    raise UserError(_failures(failed))


def _failures(failed: "Sequence[Outcome]") -> str:
  names = ", ".join(outcome.run.name for outcome in failed)
  return f"{len(failed)} runs failed: {names}: see {', '.join(str(o.log) for o in failed[:3])}"


def _typed(experiment: str, overrides: Mapping[str, Any]) -> str:
  """The command, without what differs from one machine to the next."""
  given = {
      "cells": _CELLS.value and ",".join(_CELLS.value),
      "seeds": _SEEDS.value and ",".join(_SEEDS.value),
      "baseline": _BASELINE.value,
      "eval_split": _EVAL_SPLIT.value,
  }
  chosen = [f"--{name}={value}" for name, value in given.items() if value]
  changes = [
      f"--config.{key}={config_lib.PLACES.get(key, value)}" for key, value in overrides.items()
  ]
  words = ["python", "-m", "mla_jax.experiment", experiment, "--out=DIR"]
  return shlex.join([*words, *chosen, *changes])


if __name__ == "__main__":
  app.run(main, flags_parser=config_lib.parse_flags)
