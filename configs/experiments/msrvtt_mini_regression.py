"""Retrieval with MiniLM: how much a video is to be drawn to MiniLM's own vectors of its texts.

`weight_W` is the weight of that beside the global loss; `cool` has none, but a temperature of 0.1
from start to end, which also keeps the contrastive loss from being content too soon.
--config.model.text.pretrained=DIR; `...:debug` is tiny. Chosen on the videos kept out of training.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_COOL = {"loss.init_temperature": 0.1, "optimizer.freeze": ("scales/global_log_scale",)}


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  weights = {f"weight_{w:g}": {"loss.regression_weight": w} for w in (0.0, 5.0, 10.0, 20.0, 40.0)}
  return Experiment(
      title="Regression onto MiniLM, text-to-video retrieval on msrvtt_mini",
      config=f"configs/msrvtt_mini_retrieval.py:{grids.chosen(args, 'minilm')}",
      cells=(
          *(Cell(name, changes) for name, changes in weights.items()),
          Cell("cool", weights["weight_0"] | _COOL),
      ),
      seeds=grids.seeds(args),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10"),
      numbers=("text_to_video/median_rank",),
      baseline="weight_0",
      overrides={"data.eval_split": "dev", "loss.segment_weight": 0.0},
  )
