"""Question answering with MiniLM: which pairing of segments, and how heavy alignment is.

The pairing of "task_both" is `latent`: questions have no times. --config.model.text.pretrained=DIR;
`...:debug` is tiny. Chosen on the videos kept out of training.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  return Experiment(
      title="Pairings and weights of alignment, question answering on msrvtt_mini, MiniLM",
      config=f"configs/msrvtt_mini_qa.py:{grids.chosen(args, 'minilm')}",
      cells=(
          Cell("task", _both_weigh(0.0)),
          Cell("task_both"),
          *grids.latent_variants(Cell("task_both")),
          *(Cell(f"task_both_weight_{weight:g}", _both_weigh(weight)) for weight in (0.05, 2.0)),
      ),
      seeds=grids.seeds(args),
      metrics=("accuracy",),
      numbers=("ceiling",),
      baseline="task",
      overrides={"data.eval_split": "dev"},
  )


def _both_weigh(weight: float) -> dict[str, float]:
  """The global level's weight, the segments' half of it; "task_both" has 0.5 and 0.25."""
  return {"loss.global_weight": weight, "loss.segment_weight": weight / 2}
