"""Retrieval with MiniLM: what a regressor beside the global level is worth.

`weight_W` ranks by the global cosine and W times the regressor's; `alone` trains and has none.
`cool` neither, but a temperature of 0.1 from start to end, which also keeps the contrastive loss
from being content too soon. --config.model.text.pretrained=DIR; `...:debug` is tiny. Chosen on the
videos kept out of training.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_ALONE = {"model.video.regressor_hidden": 0, "eval.regression_score": 0.0}
_COOL = {"loss.init_temperature": 0.1, "optimizer.freeze": ("scales/global_log_scale",)}


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  weights = () if args.debug else (0.25, 0.5, 1.0, 2.0)  # That size has no regressor.
  return Experiment(
      title="Regression onto MiniLM, text-to-video retrieval on msrvtt_mini",
      config=f"configs/msrvtt_mini_retrieval.py:{grids.chosen(args, 'minilm')}",
      cells=(
          Cell("alone", _ALONE),
          *(Cell(f"weight_{weight:g}", {"eval.regression_score": weight}) for weight in weights),
          Cell("cool", _ALONE | _COOL),
      ),
      seeds=grids.seeds(args),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10"),
      numbers=("text_to_video/median_rank",),
      baseline="alone",
      overrides={"data.eval_split": "dev", "loss.segment_weight": 0.0},
  )
