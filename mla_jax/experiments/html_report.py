"""An experiment's results as one HTML page: the table, pictures, every run."""

from collections.abc import Mapping, Sequence
import html
import json
from typing import Any

import numpy as np

from mla_jax import code_version, config_lib
from mla_jax.experiments import table
from mla_jax.experiments.analysis import CellScores, Score
from mla_jax.experiments.findings import Findings
from mla_jax.experiments.outcomes import Outcome
from mla_jax.experiments.plan import Experiment
from mla_jax.report import page, plots

# Keys of metrics.jsonl, and what a reader calls them. Cells weigh their losses differently.
_CURVES = (("dev_score", "the score that selects the checkpoint"), ("loss", "training loss"))


def report(findings: Findings, notes: Sequence[str]) -> str:
  """The page, with the notes below its table."""
  experiment, outcomes, rows = findings.experiment, findings.outcomes, findings.rows
  metrics = experiment.metrics
  gains = [found for metric in metrics for found in _gains(metric, experiment.baseline, rows)]
  drawn = [_curves(outcomes, *curve) for curve in _CURVES]
  sections = [
      ("Results", _table(experiment, rows) + _paragraphs(notes)),
      ("Cells", _settings(experiment, outcomes)),
      ("Differences with their 95 % intervals", page.pictures(gains)),
      ("Means with their 95 % intervals", page.pictures([_bars(name, rows) for name in metrics])),
      ("While training", page.pictures([picture for found in drawn for picture in found])),
      ("Runs", _runs(experiment, outcomes, rows)),
      ("Command", f"<p><code>{html.escape(findings.command)}</code></p>"),
  ]
  return page.page(experiment.title, sections)


def _paragraphs(notes: Sequence[str]) -> str:
  return "".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)


def _table(experiment: Experiment, rows: Sequence[CellScores]) -> str:
  return page.rows_table(
      ["", *table.columns(experiment)], [table.row_of(experiment, row) for row in rows]
  )


def _runs(
    experiment: Experiment, outcomes: Sequence[Outcome], rows: Sequence[CellScores]
) -> str:
  scores, names = {row.cell: row.scores for row in rows}, table.names(experiment)
  return page.rows_table(
      ["run", *names, "config", "code", "minutes", "ended"],
      [
          [
              outcome.run.name,
              *(_of_seed(scores[outcome.run.cell], name, outcome) for name in names),
              outcome.run.config_hash,
              code_version.shortened(outcome.code_version),
              f"{outcome.seconds / 60:.1f}",
              outcome.error or "well",
          ]
          for outcome in outcomes
      ],
  )


def _of_seed(scores: Mapping[str, Score], name: str, outcome: Outcome) -> str:
  return "" if outcome.error else f"{scores[name].by_seed[outcome.run.seed]:.2f}"


def _settings(experiment: Experiment, outcomes: Sequence[Outcome]) -> str:
  """What each cell changes, and what all do."""
  runs = [outcome.run.overrides.items() for outcome in outcomes]
  shared = {
      key: config_lib.PLACES.get(key, value)
      for key, value in runs[0]
      if all((key, value) in other for other in runs) and key != "seed"
  }
  return _paragraphs([f"All cells: {_changes(shared)}."] if shared else []) + page.rows_table(
      ["", "config", "what it changes"],
      [
          [
              cell.name,
              cell.config or experiment.config,
              _changes(cell.overrides),
          ]
          for cell in experiment.cells
      ],
  )


def _changes(overrides: Mapping[str, Any]) -> str:
  return ", ".join(f"{key}={value}" for key, value in overrides.items())


def _gains(metric: str, baseline: str, rows: Sequence[CellScores]) -> list[plots.Picture]:
  """A picture of the differences to the baseline; none where there are none."""
  shown = {
      row.cell: score.difference
      for row in rows
      if (score := row.scores.get(metric)) and score.difference
  }
  if not shown:
    return []
  means, intervals = zip(*((d.mean, d.interval) for d in shown.values()), strict=True)
  return [plots.bars(f"{metric}, minus {baseline}", list(shown), means, intervals, zero=True)]


def _bars(metric: str, rows: Sequence[CellScores]) -> plots.Picture:
  shown = {row.cell: row.scores[metric] for row in rows if metric in row.scores}
  intervals = [score.interval or (score.mean, score.mean) for score in shown.values()]
  return plots.bars(metric, list(shown), [score.mean for score in shown.values()], intervals)


def _curves(outcomes: Sequence[Outcome], key: str, title: str) -> list[plots.Picture]:
  """Mean over the seeds of what every cell's runs logged, by step; none where none did."""
  points: dict[str, dict[int, list[float]]] = {}
  for outcome in outcomes:
    history = outcome.workdir / "metrics.jsonl"
    if outcome.error or not history.exists():
      continue
    for line in map(json.loads, history.read_text().splitlines()):
      if key in line:
        steps = points.setdefault(outcome.run.cell, {})
        steps.setdefault(line["step"], []).append(line[key])
  lines: Mapping[str, tuple[list[int], list[float]]] = {
      cell: (sorted(steps), [float(np.mean(steps[step])) for step in sorted(steps)])
      for cell, steps in points.items()
  }
  return [plots.lines(f"{title}, mean over seeds", lines)] if lines else []
