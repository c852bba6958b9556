"""Which level of alignment pays where segments are known and matter: questions on the demo.

Chosen on clips kept out of training; --eval_split=test reports, once. `...:debug` is tiny.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Experiment

_CONFIG = "configs/demo.py"


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  return Experiment(
      title="Levels of alignment, question answering on the demo",
      config=f"{_CONFIG}:{grids.chosen(args)}",
      cells=(*grids.question_levels(_CONFIG, args), *grids.untimed_questions()),
      seeds=grids.seeds(args),
      metrics=("accuracy",),
      baseline="task",
      overrides={"data.eval_split": "dev"},
  )
