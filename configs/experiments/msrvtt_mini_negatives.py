"""Retrieval by the global level: what more negatives are worth.

`rows_N` has N videos in a batch, each video of all others as negative, and as many looks at each
video as the other cells; `hurried_N` has the steps of the largest batch, so fewer looks. Arguments
as of msrvtt_mini_retrieval.py. Chosen on the videos kept out of training.
"""

from typing import Any

from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_STEPS, _EVAL_EVERY = 400, 100
_SCRATCH = {"captions": 192, "timed": 64}
_MINILM = {"captions": 160, "timed": 32, "questions": 32}


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, minilm=False, debug=False)
  rows = _MINILM if args.minilm else _SCRATCH
  if args.debug:
    rows = dict.fromkeys(rows, 8)
  whole = sum(rows.values())
  return Experiment(
      title="Number of negatives, text-to-video retrieval on msrvtt_mini"
      + (", MiniLM" if args.minilm else ", text from scratch"),
      config="configs/msrvtt_mini_retrieval.py:"
      + ",".join(name for name in ("minilm", "debug") if args[name]),
      cells=(
          *(Cell(f"rows_{whole // part}", _batch(rows, part, part)) for part in (1, 2, 4, 8)),
          *(Cell(f"hurried_{whole // part}", _batch(rows, part, 1)) for part in (2, 4)),
      ),
      seeds=(0,) if args.debug else (0, 1, 2, 3, 4),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10"),
      numbers=("text_to_video/median_rank",),
      baseline=f"rows_{whole}",
      overrides={"data.eval_split": "dev", "loss.segment_weight": 0.0},
  )


def _batch(rows: dict[str, int], part: int, longer: int) -> dict[str, Any]:
  sources = {f"data.sources.{name}.rows": count // part for name, count in rows.items()}
  every = _EVAL_EVERY * longer
  steps = {"steps": _STEPS * longer, "eval_every": every, "checkpoint_every": every}
  return sources | {f"train.{name}": count for name, count in steps.items()}
