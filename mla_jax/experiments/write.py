"""What an experiment leaves in its folder: results.json, results.md and report.html."""

from collections.abc import Sequence
import dataclasses
import json
import pathlib
import shlex
from typing import Any

from mla_jax import whole_files
from mla_jax.experiments import html_report, notes, table
from mla_jax.experiments.analysis import CellScores, Score
from mla_jax.experiments.outcomes import Outcome
from mla_jax.experiments.plan import Experiment


def write(
    out: pathlib.Path,
    experiment: Experiment,
    typed: str,
    outcomes: Sequence[Outcome],
    rows: Sequence[CellScores],
    left_out: Sequence[str] = (),
) -> None:
  """Writes the three files.

  Args:
    out: folder of the experiment.
    experiment: what was asked.
    typed: the command that runs it.
    outcomes: how its runs ended.
    rows: from `analysis.analyse`.
    left_out: names of finished runs in the folder that are not in the rows.
  """
  out.mkdir(parents=True, exist_ok=True)
  said = notes.below(experiment, outcomes, rows, left_out)
  result = to_json(experiment, typed, outcomes, rows) | {"left_out": list(left_out)}
  for name, content in (
      ("results.json", json.dumps(result, indent=2) + "\n"),
      ("results.md", table.markdown(experiment, typed, outcomes, rows, said)),
      ("report.html", html_report.report(experiment, typed, outcomes, rows, said)),
  ):
    whole_files.write_text(out / name, content)


def to_json(
    experiment: Experiment, typed: str, outcomes: Sequence[Outcome], rows: Sequence[CellScores]
) -> dict[str, Any]:
  """Everything in the report, as JSON values."""
  return {
      "title": experiment.title,
      "command": typed,
      "baseline": experiment.baseline,
      "cells": {row.cell: {name: _json(score) for name, score in row.scores.items()}
                for row in rows},
      "runs": [
          {
              "cell": outcome.run.cell,
              "seed": outcome.run.seed,
              "command": shlex.join(["python", *outcome.command]),
              "config_hash": outcome.run.config_hash,
              "code_version": outcome.code_version,
              "later_code": outcome.later_code,
              "trained_by": outcome.trained_by,
              "seconds": outcome.seconds,
              "error": outcome.error,
              "metrics": outcome.metrics,
          }
          for outcome in outcomes
      ],
  }


def _json(score: Score) -> dict[str, Any]:
  difference = score.difference
  return {
      "mean": score.mean,
      "deviation": score.deviation,
      "by_seed": score.by_seed,
      "interval": score.interval,
      "difference": None if difference is None else dataclasses.asdict(difference),
      "seeds_compared": score.compared,
  }
