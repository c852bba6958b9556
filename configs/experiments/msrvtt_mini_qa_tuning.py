"""Question answering with MiniLM: does the model, and its twin without video, have what suits it?

Each cell changes one setting of `configs/msrvtt_mini_qa.py:minilm` with the task alone, and in
`no_video_...` of its twin. Chosen on the videos kept out of training; --eval_split=val reports,
once. --config.model.text.pretrained=DIR; `...:debug` is tiny.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import msrvtt_mini_qa
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_CONFIG = "configs/msrvtt_mini_qa.py"


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  chosen = grids.chosen(args, "minilm")
  twin = f"{_CONFIG}:{grids.chosen(args, 'minilm', 'no_video')}"
  config = msrvtt_mini_qa.get_config(chosen)
  alone = grids.OFF_GLOBAL | grids.OFF_SEGMENT
  changes = _of_both(config)
  less = 0.7 * config.model.video.feature_dropout
  return Experiment(
      title="Settings of question answering, msrvtt_mini, MiniLM",
      config=f"{_CONFIG}:{chosen}",
      cells=(
          *(Cell(name, alone | changed) for name, changed in changes.items()),
          Cell("less_feature_dropout", {**alone, "model.video.feature_dropout": less}),
          *(Cell(f"no_video_{name}", changed, config=twin) for name, changed in changes.items()),
      ),
      seeds=grids.seeds(args),
      metrics=("accuracy",),
      numbers=("ceiling",),
      baseline="as_it_is",
      overrides={"data.eval_split": "dev"},
  )


def _of_both(config: ConfigDict) -> dict[str, dict[str, Any]]:
  """What a cell changes of the model with video or of its twin."""
  rate, steps, model = config.optimizer.learning_rate, config.train.steps, config.model
  return {
      "as_it_is": {},
      "half_the_rate": {"optimizer.learning_rate": rate / 2},
      "twice_the_rate": {"optimizer.learning_rate": rate * 2},
      "half_the_steps": {"train.steps": steps // 2},
      "twice_the_steps": {"train.steps": steps * 2},
      "less_dropout": {"model.dropout": 0.6 * model.dropout},
      "more_dropout": {"model.dropout": 1.4 * model.dropout},
      "wider": {"model.fusion.hidden": model.fusion.hidden * 2},
  }
