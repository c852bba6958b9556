"""An experiment's table as texts: its columns and rows, and all in Markdown."""

from collections.abc import Sequence

from mla_jax.experiments.analysis import CellScores, Score
from mla_jax.experiments.findings import Findings
from mla_jax.experiments.plan import Experiment


def markdown(findings: Findings, notes: Sequence[str]) -> str:
  """The table for a docs page, with where it comes from and the notes below it."""
  experiment, outcomes = findings.experiment, findings.outcomes
  seed = experiment.seeds[0]
  evaluated = any(outcome.split for outcome in outcomes)
  minutes = "minutes to evaluate" if evaluated else "minutes a run"
  header = ["", *columns(experiment), minutes, f"config, seed {seed}"]
  hashes = {o.run.cell: o.run.config_hash for o in outcomes if o.run.seed == seed}
  lines = [f"## {experiment.title}", "", f"`{findings.command}`", "", _line(header)]
  lines.append("|" + "---|" * len(header))
  for row in findings.rows:
    minutes = f"{row.seconds / 60:.1f}"
    lines.append(_line([*row_of(experiment, row), minutes, hashes.get(row.cell, "")]))
  return "\n\n".join(["\n".join(lines), *notes]) + "\n"


def row_of(experiment: Experiment, row: CellScores) -> list[str]:
  """The cells of a row: its label, then those of each name."""
  cells = [cell for name in names(experiment) for cell in _cells(experiment, row, name)]
  return [_label(experiment, row), *cells]


def _label(experiment: Experiment, row: CellScores) -> str:
  """The cell, and where not all seeds have a result how many have."""
  found = max((len(score.by_seed) for score in row.scores.values()), default=0)
  return f"{row.cell} (n={found})" if 0 < found < len(experiment.seeds) else row.cell


def names(experiment: Experiment) -> tuple[str, ...]:
  """Of the metrics and further numbers, in the order of the columns."""
  return (*experiment.metrics, *experiment.numbers)


def columns(experiment: Experiment) -> list[str]:
  """Headers of what `row_of` has behind the label."""
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
  least = {2: 0.05, 3: 0.01}.get(score.compared, 0.001)  # So few seeds do not tell of less.
  p = f"p<{least}" if found.p_value < least else f"p={found.p_value:.3f}"
  return f"{found.mean:+.2f} [{low:+.2f}, {high:+.2f}] {p}{of}"


def _line(cells: Sequence[str]) -> str:
  return f"| {' | '.join(cells)} |"
