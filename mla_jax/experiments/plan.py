"""What an experiment is: cells (settings to compare) times seeds, and how a file tells it."""

from collections.abc import Mapping, Sequence
import dataclasses
import pathlib
import re
from typing import Any

from ml_collections import ConfigDict

from mla_jax import config_lib
from mla_jax.errors import UserError, check_choice

_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,80}")


@dataclasses.dataclass(frozen=True)
class Cell:
  """One setting: what differs from the experiment's config.

  Attributes:
    name: unique in the experiment; a folder's name.
    overrides: dotted config key -> value.
    config: another `path.py[:argument]` than the experiment's, e.g. the twin without video.
  """

  name: str
  overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  config: str | None = None


@dataclasses.dataclass(frozen=True)
class Experiment:
  """A grid of runs and how to read it.

  Attributes:
    title: one line of what is asked.
    config: `path.py[:argument]` that every cell starts from; found beside the experiment's own
      `configs` folder where it is not under the current one.
    cells: the settings, in the order of the table.
    seeds: every cell is run with each.
    metrics: names of `evals.comparison.metric_values`, e.g. "recall_at_1"; the first decides.
    baseline: name of the cell that the others are compared with.
    overrides: dotted config key -> value, of every cell.
    numbers: further numbers of the evaluation's JSON to show, "a/b", e.g.
      "text_to_video/median_rank".
  """

  title: str
  config: str
  cells: tuple[Cell, ...]
  seeds: tuple[int, ...]
  metrics: tuple[str, ...]
  baseline: str
  overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  numbers: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PlannedRun:
  """One cell with one seed.

  Attributes:
    cell: name of the cell.
    seed: of the run.
    config: `path.py[:argument]`.
    overrides: dotted config key -> value, the seed among them.
    config_hash: of the config that results.
  """

  cell: str
  seed: int
  config: str
  overrides: Mapping[str, Any]
  config_hash: str

  @property
  def name(self) -> str:
    return f"{self.cell}/seed_{self.seed}"


def load_experiment(
    path_with_arg: str,
    cells: Sequence[str] | None = None,
    seeds: Sequence[str] | None = None,
    baseline: str | None = None,
) -> Experiment:
  """The experiment of a file with `get_experiment(arg=None)`.

  Args:
    path_with_arg: of the file, `path.py[:argument]`.
    cells: names of those to keep, the baseline among them; None: all.
    seeds: whole numbers in place of its own; None: its own.
    baseline: name of the cell the others are compared with; None: its own.

  Raises:
    UserError: no such file, a file that fails, an experiment that cannot be read as one, no such
      cell, or a seed that is no number.
  """
  experiment = config_lib.call_file(path_with_arg, "get_experiment")
  if not isinstance(experiment, Experiment):
    raise UserError(
        f"{path_with_arg}: get_experiment returns a {type(experiment).__name__}: "
        "return a mla_jax.experiments.plan.Experiment"
    )
  names = [cell.name for cell in experiment.cells]
  for name in cells or ():
    check_choice("--cells", name, names)
  if baseline is not None:
    check_choice("--baseline", baseline, names)
    experiment = dataclasses.replace(experiment, baseline=baseline)
  kept = [cell for cell in experiment.cells if cells is None or cell.name in cells]
  experiment = dataclasses.replace(experiment, cells=tuple(kept))
  if seeds is not None:
    experiment = dataclasses.replace(experiment, seeds=_numbers(seeds))
  _check(experiment, path_with_arg)
  root = config_lib.root_of(pathlib.Path(path_with_arg.partition(":")[0]).resolve())
  located = tuple(
      dataclasses.replace(cell, config=cell.config and _found(cell.config, root))
      for cell in experiment.cells
  )
  return dataclasses.replace(experiment, config=_found(experiment.config, root), cells=located)


def _numbers(seeds: Sequence[str]) -> tuple[int, ...]:
  try:
    return tuple(map(int, seeds))
  except ValueError:
    raise UserError(f"--seeds={','.join(seeds)}: give whole numbers, e.g. --seeds=0,1,2") from None


def _found(config: str, root: pathlib.Path) -> str:
  path = config.partition(":")[0]
  elsewhere = root / path
  return str(root / config) if not pathlib.Path(path).exists() and elsewhere.exists() else config


def plan_runs(experiment: Experiment, overrides: Mapping[str, Any] = {}) -> list[PlannedRun]:
  """Every run, all cells of one seed before the next seed: an early stop leaves whole seeds.

  Args:
    experiment: the grid.
    overrides: of the command line; they win over the experiment's.

  Raises:
    UserError: a config that cannot be loaded or a key it does not have, found before any run; or a
      key of the command line that is what a cell is about.
  """
  return [
      _planned(experiment, cell, seed, overrides)
      for seed in experiment.seeds
      for cell in experiment.cells
  ]


def _planned(
    experiment: Experiment, cell: Cell, seed: int, overrides: Mapping[str, Any]
) -> PlannedRun:
  given = [where for where, values in (("--config.seed", overrides), (f"cell {cell.name!r}",
           cell.overrides), ("overrides", experiment.overrides)) if "seed" in values]
  if given:
    raise UserError(f"{given[0]}: sets the seed, which is that of the grid: use --seeds=0,1,2")
  own = sorted(cell.overrides.keys() & overrides.keys())
  if own:
    raise UserError(
        f"--config.{own[0]}: cell {cell.name!r} sets it itself: leave out the one, or by --cells "
        "the other"
    )
  path = cell.config or experiment.config
  changed = {**experiment.overrides, **cell.overrides, **overrides, "seed": seed}
  config = config_lib.load_config(path, changed)
  return PlannedRun(cell.name, seed, path, changed, config_lib.config_hash(config))


def config_of(run: PlannedRun) -> ConfigDict:
  """What `mla_jax.main` will make of the run's command."""
  return config_lib.load_config(run.config, run.overrides)


def _check(experiment: Experiment, path: str) -> None:
  names = [cell.name for cell in experiment.cells]
  for name in names:
    if not _NAME.fullmatch(name) or name.startswith("."):
      raise UserError(f"{path}: cell {name!r}: name it with letters, digits and _ . + -")
  if len(set(names)) < len(names):
    raise UserError(f"{path}: two cells of one name among {', '.join(names)}: rename one")
  if experiment.baseline not in names:
    raise UserError(f"{path}: baseline {experiment.baseline!r} is no cell: {', '.join(names)}")
  if not experiment.seeds or len(set(experiment.seeds)) < len(experiment.seeds):
    raise UserError(f"{path}: seeds {experiment.seeds}: give at least one, each once")
  if min(experiment.seeds) < 0:
    raise UserError(f"{path}: seeds {experiment.seeds}: whole numbers from 0, e.g. --seeds=0,1")
  if not experiment.metrics:
    raise UserError(f"{path}: no metric: name at least one, e.g. 'recall_at_1' or 'accuracy'")

