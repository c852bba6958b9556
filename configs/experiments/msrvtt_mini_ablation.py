"""Retrieval by the global level: what each thing is worth that keeps a small set from overfitting.

Each cell takes one of them out of `configs/msrvtt_mini_retrieval.py`, or (the last three) puts in
what the field knows too. Arguments as of msrvtt_mini_retrieval.py. Chosen on the videos kept out of
training.
"""

from configs import msrvtt_mini_retrieval
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, minilm=False, debug=False)
  chosen = grids.chosen(args)
  config = msrvtt_mini_retrieval.get_config(chosen)
  layers = config.model.video.temporal_layers
  token_dropout = (Cell("no_token_dropout", {"model.text.token_dropout": 0.0}),)
  return Experiment(
      title=f"What keeps from overfitting, retrieval on msrvtt_mini, {grids.inputs(args)}",
      config=f"configs/msrvtt_mini_retrieval.py:{chosen}",
      cells=(
          Cell("as_it_is", {}),
          Cell("no_average", {"optimizer.ema_decay": 0.0}),
          Cell("one_caption", {"data.captions": 1}),
          Cell("no_feature_dropout", {"model.video.feature_dropout": 0.0}),
          *(() if args.minilm else token_dropout),  # There it has none.
          Cell("linear_head", {"model.video.head_hidden": 0}),
          Cell("temporal_layer", {"model.video.temporal_layers": layers + 1}),
          Cell("duplicates_left_out", {"loss.duplicates": "mask"}),  # And not positive.
          Cell("sigmoid", {"loss.global_kind": "sigmoid"}),
      ),
      seeds=grids.seeds(args),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10"),
      numbers=("text_to_video/median_rank",),
      baseline="as_it_is",
      overrides={"data.eval_split": "dev", "loss.segment_weight": 0.0},
  )
