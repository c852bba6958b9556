"""Which level of alignment pays in finding the moment a timed sentence is about.

By the similarity of windows and sentence; `...:span` with a head for start and end. Chosen on the
videos kept out of training; --eval_split=validate reports, once. `...:debug` is tiny.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, span=False, debug=False)
  levels = (
      Cell("global", grids.OFF_SEGMENT), Cell("segment", grids.OFF_GLOBAL), Cell("both", {})
  )
  task = Cell("task", grids.OFF_GLOBAL | grids.OFF_SEGMENT)
  return Experiment(
      title="Levels of alignment, moments of msrvtt_mini's timed sentences, by "
      + ("a head for spans" if args.span else "similarity"),
      config=f"configs/msrvtt_mini_moments.py:{grids.chosen(args)}",
      cells=(task, *levels) if args.span else levels,
      seeds=grids.seeds(args),
      metrics=("mean_iou", "recall_at_1_iou_0.5"),
      baseline="task" if args.span else "global",
      overrides={"data.eval_split": "dev"},
  )
