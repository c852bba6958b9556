"""What an experiment leaves in its folder: results.json, results.md and report.html."""

import dataclasses
import json
import pathlib
import shlex
from typing import Any

from mla_jax import whole_files
from mla_jax.experiments import html_report, notes, table
from mla_jax.experiments.analysis import Score
from mla_jax.experiments.findings import Findings


def write(out: pathlib.Path, findings: Findings) -> None:
  """Writes the three files into the folder `out`."""
  out.mkdir(parents=True, exist_ok=True)
  said = notes.below(findings)
  for name, content in (
      ("results.json", json.dumps(to_json(findings), indent=2) + "\n"),
      ("results.md", table.markdown(findings, said)),
      ("report.html", html_report.report(findings, said)),
  ):
    whole_files.write_text(out / name, content)


def to_json(findings: Findings) -> dict[str, Any]:
  """Everything in the report, as JSON values."""
  return {
      "title": findings.experiment.title,
      "command": findings.command,
      "baseline": findings.experiment.baseline,
      "cells": {row.cell: {name: _json(score) for name, score in row.scores.items()}
                for row in findings.rows},
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
          for outcome in findings.outcomes
      ],
      "left_out": list(findings.left_out),
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
