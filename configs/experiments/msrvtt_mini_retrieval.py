"""Which level of alignment pays in retrieval, and which pairing of segments.

Chosen on the videos kept out of training; --eval_split=validate reports, once. `...:minilm` has the
pretrained text encoder (--config.model.text.pretrained=DIR), `...:pixels` reads frames, `...:debug`
is tiny.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, pixels=False, minilm=False, debug=False)
  return grids.retrieval(
      title=f"Levels of alignment, text-to-video retrieval on msrvtt_mini, {grids.inputs(args)}",
      config=f"configs/msrvtt_mini_retrieval.py:{grids.chosen(args)}",
      cells=(
          *grids.retrieval_levels(),  # The config's pairing is `latent`.
          Cell("both_timed", {"loss.segment_pairing": "timed"}),
          Cell("both_timed_latent", {"loss.segment_pairing": "timed+latent"}),
          *grids.latent_variants("both"),
          *(
              Cell(f"both_weight_{weight:g}", grids.LATENT | {"loss.segment_weight": weight})
              for weight in (0.1, 2.0)  # "both" has 0.5.
          ),
      ),
      args=args,
  )
