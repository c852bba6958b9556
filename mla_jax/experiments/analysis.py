"""From the runs of an experiment to its table: means, intervals, paired differences."""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import operator
from typing import Any

from jaxtyping import Bool, Float
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import comparison, dumps, paired, seeds
from mla_jax.experiments.outcomes import Outcome
from mla_jax.experiments.plan import Experiment


@dataclasses.dataclass(frozen=True)
class Score:
  """A metric of a cell.

  Attributes:
    by_seed: seed -> value.
    interval: 95 % over seeds and examples; None for a number that is no mean of examples.
    difference: to the baseline, of the seeds both have; None for the baseline and without interval.
    compared: how many seeds these are; 0 without a difference.
  """

  by_seed: Mapping[int, float]
  interval: tuple[float, float] | None = None
  difference: paired.Difference | None = None
  compared: int = 0

  @property
  def mean(self) -> float:
    return float(np.mean(list(self.by_seed.values())))

  @property
  def deviation(self) -> float | None:
    """Sample standard deviation over seeds; None for one."""
    values = list(self.by_seed.values())
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


@dataclasses.dataclass(frozen=True)
class CellScores:
  """A row of the table; `scores` is empty where every run failed."""

  cell: str
  scores: Mapping[str, Score]
  seconds: float  # Mean of a run.


@dataclasses.dataclass(frozen=True)
class _Values:
  """The per-example values of a cell: seed -> metric -> `[n]`, all in one order of examples."""

  ids: list[Any]
  videos: np.ndarray
  by_seed: Mapping[int, Mapping[str, np.ndarray]]


def analyse(experiment: Experiment, outcomes: Sequence[Outcome]) -> list[CellScores]:
  """The table's rows, in the order of the cells.

  Args:
    experiment: what was asked.
    outcomes: of its runs; failed ones are left out.

  Raises:
    UserError: a dump cannot be read, runs of other examples, or an unknown metric.
  """
  good = [outcome for outcome in outcomes if outcome.error is None]
  of_cell = {
      cell.name: [outcome for outcome in good if outcome.run.cell == cell.name]
      for cell in experiment.cells
  }
  values = {name: _read(found) for name, found in of_cell.items() if found}
  base = values.get(experiment.baseline)
  rows = []
  for name, found in of_cell.items():
    against = None if name == experiment.baseline else base
    scores: dict[str, Score] = {}
    if found:
      for metric in experiment.metrics:
        scores[metric] = _score(metric, values[name], against)
      for path in experiment.numbers:
        scores[path] = Score({o.run.seed: _number(o.metrics, path) for o in found})
    seconds = float(np.mean([outcome.seconds for outcome in found])) if found else 0.0
    rows.append(CellScores(name, scores, seconds))
  return rows


def _read(outcomes: Sequence[Outcome]) -> _Values:
  rows = {outcome.run.seed: dumps.read_dump(outcome.dump) for outcome in outcomes}
  first = next(iter(rows.values()))
  by_seed = {
      seed: comparison.metric_values([row for _, row in dumps.join(first, found)])
      for seed, found in rows.items()
  }
  videos = np.array([str(row.get("video", row["id"])) for row in first])
  return _Values([row["id"] for row in first], videos, by_seed)


def _score(metric: str, values: _Values, base: _Values | None) -> Score:
  matrix = _matrix(metric, values, values.by_seed)
  asked = _asked(matrix)
  matrix = matrix[:, asked]
  by_seed = dict(zip(values.by_seed, matrix.mean(axis=1).tolist(), strict=True))
  interval = seeds.seeds_interval(matrix, values.videos[asked])
  shared = [seed for seed in values.by_seed if base is not None and seed in base.by_seed]
  if base is None or not shared:
    return Score(by_seed, interval)
  return Score(by_seed, interval, _difference(metric, values, base, shared), len(shared))


def _difference(
    metric: str, values: _Values, base: _Values, shared: Sequence[int]
) -> paired.Difference:
  if values.ids != base.ids:
    raise UserError("the cells were evaluated on different examples: give them one eval_split")
  a, b = _matrix(metric, base, shared), _matrix(metric, values, shared)
  asked = _asked(np.concatenate([a, b]))
  return seeds.seeds_difference(a[:, asked], b[:, asked], values.videos[asked])


def _matrix(metric: str, values: _Values, chosen: Any) -> Float[np.ndarray, "S n"]:
  for found in values.by_seed.values():
    if metric not in found:
      raise UserError(f"experiment metric {metric!r}: unknown: the runs have {', '.join(found)}")
  return np.stack([values.by_seed[seed][metric] for seed in chosen])


def _asked(matrix: Float[np.ndarray, "S n"]) -> Bool[np.ndarray, " n"]:
  """Which examples the metric is a mean of, in every run the same."""
  asked = ~np.isnan(matrix)
  if (asked != asked[0]).any():
    raise UserError(
        "the runs hold a metric of different examples: evaluate all with the same code and data"
    )
  return asked[0]


def _number(metrics: Mapping[str, Any], path: str) -> float:
  try:
    return float(functools.reduce(operator.getitem, path.split("/"), metrics))  # type: ignore[arg-type]
  except (KeyError, TypeError, ValueError):
    raise UserError(
        f"experiment number {path!r}: not in the evaluation's JSON, which has {', '.join(metrics)}"
    ) from None
