"""Which level of alignment pays in finding the moment a timed sentence is about.

By the similarity of windows and sentence; `...:span` with a head for start and end. Chosen on the
videos kept out of training; --eval_split=validate reports, once. `...:debug` is tiny.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_GLOBAL, _SEGMENT = {"loss.segment_weight": 0.0}, {"loss.global_weight": 0.0}


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, span=False, debug=False)
  levels = (Cell("global", _GLOBAL), Cell("segment", _SEGMENT), Cell("both", {}))
  return Experiment(
      title="Levels of alignment, moments of msrvtt_mini's timed sentences, by "
      + ("a head for spans" if args.span else "similarity"),
      config=f"configs/msrvtt_mini_moments.py:{grids.chosen(args)}",
      cells=(Cell("task", _GLOBAL | _SEGMENT), *levels) if args.span else levels,
      seeds=grids.seeds(args),
      metrics=("mean_iou", "recall_at_1_iou_0.5"),
      baseline="task" if args.span else "global",
      overrides={"data.eval_split": "dev"},
  )
