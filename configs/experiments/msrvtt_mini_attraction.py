"""Retrieval by the global level: how much a video is to be drawn to its own texts.

`attraction_W` has the weight W; `cool` none, but the temperature 0.1 from start to end, which also
keeps the contrastive loss from being content too soon. Arguments as of msrvtt_mini_retrieval.py.
Chosen on the videos kept out of training.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_COOL = {"loss.init_temperature": 0.1, "optimizer.freeze": ("scales/global_log_scale",)}


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, minilm=False, debug=False)
  weights = (0.0, 5.0, 10.0, 20.0, 40.0)
  return Experiment(
      title=f"Attraction, text-to-video retrieval on msrvtt_mini, {grids.inputs(args)}",
      config=f"configs/msrvtt_mini_retrieval.py:{grids.chosen(args)}",
      cells=(
          *(Cell(f"attraction_{w:g}", {"loss.global_attraction": w}) for w in weights),
          Cell("cool", _COOL),
      ),
      seeds=grids.seeds(args),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10"),
      numbers=("text_to_video/median_rank",),
      baseline="attraction_0",
      overrides={"data.eval_split": "dev", "loss.segment_weight": 0.0},
  )
