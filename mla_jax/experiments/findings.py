"""What an experiment found: what its three files are written from."""

from collections.abc import Sequence
import dataclasses

from mla_jax.experiments.analysis import CellScores
from mla_jax.experiments.outcomes import Outcome
from mla_jax.experiments.plan import Experiment


@dataclasses.dataclass(frozen=True)
class Findings:
  """An experiment and its results.

  Attributes:
    experiment: what was asked.
    command: that runs it.
    outcomes: how its runs ended.
    rows: from `analysis.analyse`.
    left_out: names of finished runs in the folder that are not in the rows.
  """

  experiment: Experiment
  command: str
  outcomes: Sequence[Outcome]
  rows: Sequence[CellScores]
  left_out: Sequence[str] = ()
