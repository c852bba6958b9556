"""Retrieval by the global level: what more negatives are worth.

`rows_N` has N videos in a batch, each video of all others as negative, and as many looks at each
video as the other cells; `hurried_N` has the steps of the largest batch, so fewer looks. Arguments
as of msrvtt_mini_retrieval.py. Chosen on the videos kept out of training.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import msrvtt_mini_retrieval
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, minilm=False, debug=False)
  config = msrvtt_mini_retrieval.get_config(grids.chosen(args))
  whole = sum(source.rows for source in config.data.sources.values())
  return Experiment(
      title=f"Number of negatives, text-to-video retrieval on msrvtt_mini, {grids.inputs(args)}",
      config=f"configs/msrvtt_mini_retrieval.py:{grids.chosen(args)}",
      cells=(
          *(Cell(f"rows_{whole // part}", _batch(config, part, part)) for part in (1, 2, 4, 8)),
          *(Cell(f"hurried_{whole // part}", _batch(config, part, 1)) for part in (2, 4)),
      ),
      seeds=grids.seeds(args),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10"),
      numbers=("text_to_video/median_rank",),
      baseline=f"rows_{whole}",
      overrides={"data.eval_split": "dev", "loss.segment_weight": 0.0},
  )


def _batch(config: ConfigDict, part: int, longer: int) -> dict[str, Any]:
  """A batch of a part of the rows, for `longer` times the steps."""
  sources = config.data.sources.items()
  rows = {f"data.sources.{name}.rows": source.rows // part for name, source in sources}
  steps = {
      f"train.{name}": config.train[name] * longer
      for name in ("steps", "eval_every", "checkpoint_every")
  }
  return rows | steps
