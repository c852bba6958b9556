"""Which level of alignment pays in retrieval, and which pairing of segments.

`segment...` are the segments alone, ranked by their own score, `both...` what the segments do for
the global cosine, and `both_by_both` is ranked by the mean of both; `segment_captions_alone` has
captions in the place of the timed sentences. Chosen on the videos kept out of training;
--eval_split=validate reports, once. `...:minilm` has the pretrained text encoder
(--config.model.text.pretrained=DIR) and its regressor beside each score, `...:pixels` reads frames,
`...:debug` is tiny.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_CONFIG = "configs/msrvtt_mini_retrieval.py"


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, pixels=False, minilm=False, debug=False)
  untimed = grids.chosen(args, "captions")
  levels = _, segment, both, _ = grids.retrieval_levels()  # The config's pairing is `latent`.
  return grids.retrieval(
      title=f"Levels of alignment, text-to-video retrieval on msrvtt_mini, {grids.inputs(args)}",
      config=f"{_CONFIG}:{grids.chosen(args)}",
      cells=(
          *levels,
          *(cell for level in (segment, both) for cell in _paired_otherwise(level)),
          Cell("segment_captions_alone", segment.overrides, config=f"{_CONFIG}:{untimed}"),
          *(
              Cell(f"both_weight_{weight:g}", {**both.overrides, "loss.segment_weight": weight})
              for weight in (0.1, 2.0)  # "both" has 0.5.
          ),
      ),
      args=args,
  )


def _paired_otherwise(level: Cell) -> tuple[Cell, ...]:
  """The level with times, with times and without, and with the other variants of `latent`."""
  pairings = {"timed": "timed", "timed_latent": "timed+latent"}
  return (
      *(
          Cell(f"{level.name}_{name}", {**level.overrides, "loss.segment_pairing": pairing})
          for name, pairing in pairings.items()
      ),
      *grids.latent_variants(level),
  )
