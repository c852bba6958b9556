"""What an experiment leaves in its folder: results.json, results.md and report.html."""

import collections
from collections.abc import Mapping, Sequence
import dataclasses
import html
import json
import pathlib
import shlex
from typing import Any

import numpy as np

from mla_jax import code_version, whole_files
from mla_jax.experiments import notes
from mla_jax.experiments.analysis import CellScores, Score
from mla_jax.experiments.outcomes import Outcome
from mla_jax.experiments.plan import Experiment
from mla_jax.report import page, plots

# Keys of metrics.jsonl, and what a reader calls them. Cells weigh their losses differently.
_CURVES = (("dev_score", "the score that selects the checkpoint"), ("loss", "training loss"))


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
  more = notes.left_out(left_out)
  result = to_json(experiment, typed, outcomes, rows) | {"left_out": list(left_out)}
  for name, content in (
      ("results.json", json.dumps(result, indent=2) + "\n"),
      ("results.md", markdown(experiment, typed, outcomes, rows, more)),
      ("report.html", _html(experiment, typed, outcomes, rows, more)),
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


def markdown(
    experiment: Experiment,
    typed: str,
    outcomes: Sequence[Outcome],
    rows: Sequence[CellScores],
    more: Sequence[str] = (),
) -> str:
  """The table for a docs page, with where it comes from; `more` are further notes."""
  seed = experiment.seeds[0]
  header = ["", *_columns(experiment), "minutes a run", f"config, seed {seed}"]
  hashes = {o.run.cell: o.run.config_hash for o in outcomes if o.run.seed == seed}
  lines = [f"## {experiment.title}", "", f"`{typed}`", "", _line(header)]
  lines.append("|" + "---|" * len(header))
  for row in rows:
    minutes = f"{row.seconds / 60:.1f}"
    lines.append(_line([*_row(experiment, row), minutes, hashes.get(row.cell, "")]))
  return "\n".join([*lines, "", *_notes(experiment, outcomes, more)]) + "\n"


def _row(experiment: Experiment, row: CellScores) -> list[str]:
  cells = [cell for name in _names(experiment) for cell in _cells(experiment, row, name)]
  return [_label(experiment, row), *cells]


def _label(experiment: Experiment, row: CellScores) -> str:
  """The cell, and where not all seeds have a result how many have."""
  found = max((len(score.by_seed) for score in row.scores.values()), default=0)
  return f"{row.cell} (n={found})" if 0 < found < len(experiment.seeds) else row.cell


def _notes(
    experiment: Experiment, outcomes: Sequence[Outcome], more: Sequence[str]
) -> list[str]:
  lines = [
      f"{_explained(experiment.seeds)}{_missing(experiment, outcomes)} Differences to "
      f"`{experiment.baseline}` are paired by seed and example; their interval and p have seeds "
      "and videos as crossed random effects.",
      *notes.code(outcomes),
      *more,
  ]
  if all(outcome.error for outcome in outcomes if outcome.run.cell == experiment.baseline):
    lines.append(f"No differences: no run of `{experiment.baseline}` ended well.")
  failed = [outcome for outcome in outcomes if outcome.error]
  lines += [f"Failed: {outcome.run.name}: {outcome.error}" for outcome in failed]
  return [line for note in lines for line in (note, "")][:-1]


def _explained(seeds: Sequence[int]) -> str:
  if len(seeds) == 1:
    return (
        f"One seed, {seeds[0]}: mean and, in brackets, the 95 % interval over videos; of other "
        "seeds it says nothing."
    )
  return (
      f"Seeds {', '.join(map(str, seeds))}: mean, deviation of the seeds and, in brackets, the "
      "95 % interval over seeds and videos."
      + " Two seeds: too short an interval where seeds differ much." * (len(seeds) == 2)
  )


def _missing(experiment: Experiment, outcomes: Sequence[Outcome]) -> str:
  """What n is, where seeds are missing, and what an interval over one seed is."""
  ended = collections.Counter(outcome.run.cell for outcome in outcomes if not outcome.error)
  if min(ended[cell.name] for cell in experiment.cells) == len(experiment.seeds):
    return ""
  return " Where some have no result n is their number; of n=1 the interval is over videos alone."


def _names(experiment: Experiment) -> tuple[str, ...]:
  return (*experiment.metrics, *experiment.numbers)


def _columns(experiment: Experiment) -> list[str]:
  compared = [part for name in experiment.metrics for part in (name, "difference")]
  return [*compared, *experiment.numbers]


def _cells(experiment: Experiment, row: CellScores, name: str) -> list[str]:
  score = row.scores.get(name)
  shown = "failed" if score is None else _value(score)
  if name not in experiment.metrics:
    return [shown]
  return [shown, "" if score is None else _difference(experiment, score)]


def _value(score: Score) -> str:
  spread = "" if score.deviation is None else f" ± {score.deviation:.2f}"
  text = f"{score.mean:.2f}{spread}"
  return text + (f" [{score.interval[0]:.1f}, {score.interval[1]:.1f}]" if score.interval else "")


def _difference(experiment: Experiment, score: Score) -> str:
  """With the number of seeds it is of, where not all have a result in both cells."""
  found = score.difference
  if found is None:
    return ""
  low, high = found.interval
  of = f" (n={score.compared})" if score.compared < len(experiment.seeds) else ""
  p = "p<0.001" if found.p_value < 0.001 else f"p={found.p_value:.3f}"
  return f"{found.mean:+.2f} [{low:+.2f}, {high:+.2f}] {p}{of}"


def _line(cells: Sequence[str]) -> str:
  return f"| {' | '.join(cells)} |"


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


def _html(
    experiment: Experiment,
    typed: str,
    outcomes: Sequence[Outcome],
    rows: Sequence[CellScores],
    more: Sequence[str],
) -> str:
  pictures = [_bars(metric, rows) for metric in experiment.metrics]
  drawn = [_curves(outcomes, *curve) for curve in _CURVES]
  sections = [
      ("Results", _table(experiment, rows) + _paragraphs(_notes(experiment, outcomes, more))),
      ("Means with their intervals", page.pictures(pictures)),
      ("While training", page.pictures([picture for found in drawn for picture in found])),
      ("Runs", _runs(experiment, outcomes, rows)),
      ("Command", f"<p><code>{html.escape(typed)}</code></p>"),
  ]
  return page.page(experiment.title, sections)


def _paragraphs(notes: Sequence[str]) -> str:
  return "".join(f'<p class="note">{html.escape(note)}</p>' for note in notes if note)


def _table(experiment: Experiment, rows: Sequence[CellScores]) -> str:
  return page.rows_table(
      ["", *_columns(experiment)], [_row(experiment, row) for row in rows]
  )


def _runs(
    experiment: Experiment, outcomes: Sequence[Outcome], rows: Sequence[CellScores]
) -> str:
  scores = {row.cell: row.scores for row in rows}
  return page.rows_table(
      ["run", *_names(experiment), "config", "code", "minutes", "ended"],
      [
          [
              outcome.run.name,
              *(_of_seed(scores[outcome.run.cell], name, outcome) for name in _names(experiment)),
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


def _bars(metric: str, rows: Sequence[CellScores]) -> str:
  shown = {row.cell: row.scores[metric] for row in rows if metric in row.scores}
  intervals = [score.interval or (score.mean, score.mean) for score in shown.values()]
  return plots.bars(metric, list(shown), [score.mean for score in shown.values()], intervals)


def _curves(outcomes: Sequence[Outcome], key: str, title: str) -> list[str]:
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
