"""Which level of alignment pays in question answering, which pairing of segments, which weight.

Chosen on the videos kept out of training; --eval_split=val reports, once. `...:minilm` has the
pretrained text encoder (--config.model.text.pretrained=DIR), `...:pixels` reads frames, `...:debug`
is tiny.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_CONFIG = "configs/msrvtt_mini_qa.py"


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, pixels=False, minilm=False, debug=False)
  return Experiment(
      title=f"Levels of alignment, question answering on msrvtt_mini, {grids.inputs(args)}",
      config=f"{_CONFIG}:{grids.chosen(args)}",
      cells=(
          *grids.question_levels(_CONFIG, args),  # Segments are `latent`: no times.
          *grids.latent_variants("task_both"),
          *(_both_weighing(weight) for weight in (0.05, 2.0)),
      ),
      seeds=grids.seeds(args),
      metrics=("accuracy",),
      numbers=("ceiling",),
      baseline="task",
      overrides={"data.eval_split": "dev"},
  )


def _both_weighing(weight: float) -> Cell:
  """Both levels with another weight, the segments' half of it as in "task_both" (0.5 and 0.25)."""
  weights = {"loss.global_weight": weight, "loss.segment_weight": weight / 2}
  return Cell(f"task_both_weight_{weight:g}", weights)
