"""What a reader of an experiment's table must know beside its numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mla_jax.experiments.analysis import CellScores
from mla_jax.experiments.findings import Findings
from mla_jax.experiments.outcomes import Outcome
from mla_jax.experiments.plan import Experiment

_SHOWN = 8  # Runs named of those that are left out.
_SIZES = ("texts", "questions", "queries", "videos")  # Counts that evaluations have.


def below(findings: Findings) -> list[str]:
  """The paragraphs below the table."""
  experiment, outcomes = findings.experiment, findings.outcomes
  compared = [
      score for row in findings.rows for score in row.scores.values() if score.difference
  ]
  lines = [
      f"{_explained(experiment.seeds)}{_missing(experiment, outcomes)} Differences to "
      f"`{experiment.baseline}` are paired by seed and example; their interval and p have seeds "
      "and videos as crossed random effects.",
      *evaluated(outcomes),
      *code(outcomes),
      *comparisons(len(compared)),
      *_without_effect(experiment.baseline, findings.rows),
      *_left_out(findings.left_out),
  ]
  if all(outcome.error for outcome in outcomes if outcome.run.cell == experiment.baseline):
    lines.append(f"No differences: no run of `{experiment.baseline}` ended well.")
  failed = [outcome for outcome in outcomes if outcome.error]
  return lines + [f"Failed: {outcome.run.name}: {outcome.error}" for outcome in failed]


def _explained(seeds: Sequence[int]) -> str:
  if len(seeds) == 1:
    return (
        f"One seed, {seeds[0]}: mean and, in brackets, the 95 % interval over videos; of other "
        "seeds it says nothing."
    )
  return (
      f"Seeds {', '.join(map(str, seeds))}: mean, deviation of the seeds and, in brackets, the "
      "95 % interval over seeds and videos."
      + " So few: too short an interval, and too small a p, where seeds differ much."
      * (len(seeds) < 4)
  )


def _missing(experiment: Experiment, outcomes: Sequence[Outcome]) -> str:
  """What n is, where seeds are missing, and what an interval over one seed is."""
  ended = Counter(outcome.run.cell for outcome in outcomes if not outcome.error)
  if min(ended[cell.name] for cell in experiment.cells) == len(experiment.seeds):
    return ""
  return " Where some have no result n is their number; of n=1 the interval is over videos alone."


def code(outcomes: Sequence[Outcome]) -> list[str]:
  """Which code made the runs, and whether it was one and the same."""
  trained = {version for outcome in outcomes for version in outcome.trained_by}
  notes = []
  if trained:
    notes.append(f"Trained by code {', '.join(sorted(trained))}.")
  versions = Counter(outcome.code_version for outcome in outcomes)
  by = "Evaluated by code" if trained else "Code"
  notes.append(f"{by} {', '.join(sorted(versions))}.")
  if len(versions) > 1:
    counts = ", ".join(f"{count} by {version}" for version, count in sorted(versions.items()))
    notes.append(f"Mixed code: runs {counts}; results.json says which.")
  # Of a training that several versions had a part in, whether here or before its evaluation.
  for outcome in outcomes:
    for parts in (outcome.trained_by, (outcome.code_version, *outcome.later_code)):
      if len(parts) > 1:
        notes.append(f"Mixed code: {outcome.run.name}: it changed on the way: {', '.join(parts)}.")
  return notes


def evaluated(outcomes: Sequence[Outcome]) -> list[str]:
  """What the runs were evaluated on, and whether that chose their checkpoints."""
  ended = [outcome.metrics for outcome in outcomes if not outcome.error]
  if not ended:
    return []
  found = sorted({f"{one['dataset']}_{one['split']}{_sizes(one)}" for one in ended})
  notes = [f"Evaluated on {' and '.join(found)}."]
  if any(metrics.get("selected_on_this_split") for metrics in ended):
    notes.append(
        "Checkpoints were chosen on this split: the numbers flatter, most those of cells with more"
        " looks at it."
    )
  return notes


def _sizes(metrics: Mapping[str, Any]) -> str:
  found = [f"{metrics[name]:,} {name}" for name in _SIZES if name in metrics]
  return f" ({', '.join(found)})" if found else ""


def comparisons(count: int) -> list[str]:
  """That p-values are each of one comparison, where there are several."""
  if count < 2:
    return []
  return [f"{count} comparisons: each p is of one alone, none is adjusted for their number."]


def _without_effect(baseline: str, rows: Sequence[CellScores]) -> list[str]:
  """Which cells do as the baseline on every video, as where a setting has no part in the run."""
  same = [
      row.cell for row in rows
      if (found := [score.difference for score in row.scores.values() if score.difference])
      and all((one.mean, *one.interval) == (0, 0, 0) for one in found)
  ]
  if not same:
    return []
  return [
      f"No video tells these from `{baseline}`: {', '.join(same)}. What they change may have no"
      " part in what is measured."
  ]


def _left_out(names: Sequence[str]) -> list[str]:
  """Which finished runs of the folder are not in the table."""
  if not names:
    return []
  more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
  shown = f"{', '.join(names[:_SHOWN])}{more}"
  return [f"Finished in this folder, and not in this table by --cells or --seeds: {shown}."]
