"""Question answering with MiniLM: does the model, and its twin without video, have what suits it?

Each cell changes one setting of `configs/msrvtt_mini_qa.py:minilm` with the task alone, and with
`...:no_video` of that of its twin. Chosen on the videos kept out of training.
--config.model.text.pretrained=DIR; `...:debug` is tiny.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import msrvtt_mini_qa
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, no_video=False, debug=False)
  chosen = grids.chosen(args, "minilm")
  alone = {} if args.no_video else grids.OFF_GLOBAL | grids.OFF_SEGMENT
  return Experiment(
      title="Settings of question answering, msrvtt_mini, MiniLM"
      f"{', without video' if args.no_video else ''}",
      config=f"configs/msrvtt_mini_qa.py:{chosen}",
      cells=tuple(
          Cell(name, alone | changed)
          for name, changed in _changes(msrvtt_mini_qa.get_config(chosen)).items()
      ),
      seeds=grids.seeds(args),
      metrics=("accuracy",),
      numbers=("ceiling",),
      baseline="as_it_is",
      overrides={"data.eval_split": "dev"},
  )


def _changes(config: ConfigDict) -> dict[str, dict[str, Any]]:
  """What each cell changes of the config."""
  rate, steps, model = config.optimizer.learning_rate, config.train.steps, config.model
  changes = {
      "as_it_is": {},
      "half_the_rate": {"optimizer.learning_rate": rate / 2},
      "twice_the_rate": {"optimizer.learning_rate": rate * 2},
      "half_the_steps": {"train.steps": steps // 2},
      "twice_the_steps": {"train.steps": steps * 2},
      "less_dropout": {"model.dropout": 0.6 * model.dropout},
      "more_dropout": {"model.dropout": 1.4 * model.dropout},
      "wider": {"model.fusion.hidden": model.fusion.hidden * 2},
  }
  if model.use_video:
    video = model.video
    changes |= {
        "less_feature_dropout": {"model.video.feature_dropout": 0.7 * video.feature_dropout},
        "wider_video": {"model.video.head_hidden": video.head_hidden * 2},
    }
  return changes
