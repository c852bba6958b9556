"""Which level of alignment pays where segments differ: clips of three real videos each.

Segments are trained by times, in `..._latent` without, and ranked by their latent score: whole
paragraphs have to find whole clips, whose times are not known. Chosen on clips of videos kept out
of training; --eval_split=test reports, once. `...:debug` is tiny.
"""

from configs import msrvtt_mini_composed
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  chosen = grids.chosen(args)
  return grids.retrieval(
      title="Levels of alignment, text-to-video retrieval on clips of three real videos",
      config=f"configs/msrvtt_mini_composed.py:{chosen}",
      cells=grids.timed_retrieval(msrvtt_mini_composed.get_config(chosen).train.steps),
      args=args,
  )
