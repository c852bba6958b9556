"""What a reader of an experiment's table must know beside its numbers."""

from collections import Counter
from collections.abc import Sequence

from mla_jax.experiments.outcomes import Outcome

_SHOWN = 8  # Runs named of those that are left out.
_SIZES = ("texts", "questions", "queries", "videos")  # Counts that evaluations have.


def code(outcomes: Sequence[Outcome]) -> list[str]:
  """Which code made the runs, and whether it was one and the same."""
  evaluated = [outcome for outcome in outcomes if outcome.trained_by]
  notes = []
  if evaluated:
    trained = {version for outcome in evaluated for version in outcome.trained_by}
    notes.append(f"Trained by code {', '.join(sorted(trained))}.")
  versions = Counter(outcome.code_version for outcome in outcomes)
  code = "Evaluated by code" if evaluated else "Code"
  notes.append(f"{code} {', '.join(sorted(versions))}.")
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
  one = ended[0]  # Cells that were evaluated on other examples are an error before.
  sizes = [f"{one[name]:,} {name}" for name in _SIZES if name in one]
  notes = [f"Evaluated on {one['dataset']}_{one['split']}: {', '.join(sizes)}."]
  if any(metrics.get("selected_on_this_split") for metrics in ended):
    notes.append(
        "Checkpoints were chosen on this split: the numbers flatter, most those of cells with more"
        " looks at it."
    )
  return notes


def comparisons(count: int) -> list[str]:
  """That p-values are each of one comparison, where there are several."""
  if count < 2:
    return []
  return [f"{count} comparisons: each p is of one alone, none is adjusted for their number."]


def left_out(names: Sequence[str]) -> list[str]:
  """Which finished runs of the folder are not in the table."""
  if not names:
    return []
  more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
  shown = f"{', '.join(names[:_SHOWN])}{more}"
  return [f"Finished in this folder, and not in this table by --cells or --seeds: {shown}."]
