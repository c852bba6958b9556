"""Which level of alignment pays where segments are known and matter: retrieval on the demo.

Segments are trained by times, in `..._latent` without, and ranked by their latent score: whole
paragraphs have to find whole clips, whose times are not known. Chosen on clips kept out of
training; --eval_split=test reports, once. `...:debug` is tiny.
"""

from configs import demo
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  chosen = grids.chosen(args, "retrieval")
  return grids.retrieval(
      title="Levels of alignment, text-to-video retrieval on the demo",
      config=f"configs/demo.py:{chosen}",
      cells=grids.timed_retrieval(demo.get_config(chosen).train.steps),
      args=args,
  )
