"""Which level of alignment pays in question answering, beside the model without video.

Chosen on the videos kept out of training; --eval_split=val reports, once. `...:minilm` has the
pretrained text encoder (--config.model.text.pretrained=DIR), `...:pixels` reads frames, `...:debug`
is tiny.
"""

from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, pixels=False, minilm=False, debug=False)
  options = [name for name in ("pixels", "minilm", "debug") if args[name]]
  config = "configs/msrvtt_mini_qa.py:" + ",".join(options)
  blind = "configs/msrvtt_mini_qa.py:" + ",".join(["no_video", *options])
  return Experiment(
      title="Levels of alignment, question answering on msrvtt_mini"
      + (", pixels" if args.pixels else "")
      + (", MiniLM" if args.minilm else ", text from scratch"),
      config=config,
      cells=(
          Cell("no_video", config=blind),
          Cell("task", {"loss.global_weight": 0.0, "loss.segment_weight": 0.0}),
          Cell("task_global", {"loss.segment_weight": 0.0}),
          Cell("task_segment", {"loss.global_weight": 0.0}),
          Cell("task_both", {}),
      ),
      seeds=(0,) if args.debug else (0, 1, 2, 3, 4),
      metrics=("accuracy",),
      numbers=("ceiling",),
      baseline="task",
      overrides={"data.eval_split": "dev"},
  )
