"""Which level of alignment pays in question answering, beside the model without video.

Chosen on the videos kept out of training; --eval_split=val reports, once. `...:minilm` has the
pretrained text encoder (--config.model.text.pretrained=DIR), `...:pixels` reads frames, `...:debug`
is tiny.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Experiment

_CONFIG = "configs/msrvtt_mini_qa.py"


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, pixels=False, minilm=False, debug=False)
  return Experiment(
      title=f"Levels of alignment, question answering on msrvtt_mini, {grids.inputs(args)}",
      config=f"{_CONFIG}:{grids.chosen(args)}",
      cells=grids.question_levels(_CONFIG, args),
      seeds=grids.seeds(args),
      metrics=("accuracy",),
      numbers=("ceiling",),
      baseline="task",
      overrides={"data.eval_split": "dev"},
  )
