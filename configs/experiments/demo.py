"""Which level of alignment pays where segments are known and matter: questions on the demo.

Chosen on clips kept out of training; --eval_split=test reports, once. `...:debug` is tiny.
"""

from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  debug = "debug" if args.debug else ""
  return Experiment(
      title="Levels of alignment, question answering on the demo",
      config=f"configs/demo.py:{debug}",
      cells=(
          Cell("no_video", config="configs/demo.py:" + ",".join(filter(None, ["no_video", debug]))),
          Cell("task", {"loss.global_weight": 0.0, "loss.segment_weight": 0.0}),
          Cell("task_global", {"loss.segment_weight": 0.0}),
          Cell("task_segment", {"loss.global_weight": 0.0}),
          Cell("task_both", {}),
      ),
      seeds=(0,) if args.debug else (0, 1, 2, 3, 4),
      metrics=("accuracy",),
      baseline="task",
      overrides={"data.eval_split": "dev"},
  )
