"""Clips of three real videos each: does each level have the settings that suit it?

`configs/msrvtt_mini_composed.py` has the settings of `msrvtt_mini_retrieval.py`, found for other
data, but for what was chosen here. Each is changed alone, for the global level and for the
segments', ranked by its own score, from where it began: 0.7 of the features dropped. Chosen on
clips of videos kept out of training; `...:debug` is tiny.
"""

from configs import msrvtt_mini_composed
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  chosen = grids.chosen(args)
  config = msrvtt_mini_composed.get_config(chosen)
  rate, steps = config.optimizer.learning_rate, config.train.steps
  video = config.model.video
  changes = {
      "": {},
      **{f"_rate_{r:g}": {"optimizer.learning_rate": r} for r in (rate / 2, rate * 2)},
      f"_steps_{steps * 2}": {"train.steps": steps * 2},
      "_temporal_layer": {"model.video.temporal_layers": video.temporal_layers + 1},
      **{f"_feature_dropout_{p:g}": {"model.video.feature_dropout": p} for p in (0.2, 0.35, 0.5)},
  }
  return Experiment(
      title="Settings of each level, text-to-video retrieval on clips of three real videos",
      config=f"configs/msrvtt_mini_composed.py:{chosen}",
      cells=tuple(
          Cell(f"{level.name}{name}", {**level.overrides, **changed})
          for name, changed in changes.items()
          for level in grids.retrieval_levels()[:2]
      ),
      seeds=grids.seeds(args),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10"),
      baseline="global",
      overrides={"data.eval_split": "dev", "model.video.feature_dropout": 0.7},
  )
