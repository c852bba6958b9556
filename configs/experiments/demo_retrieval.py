"""Which level of alignment pays where segments are known and matter: retrieval on the demo.

Segments are trained by times and ranked by their latent score: whole paragraphs have to find whole
clips, whose times are not known. Chosen on clips kept out of training; --eval_split=test reports,
once. `...:debug` is tiny.
"""

from configs import demo
from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, debug=False)
  chosen = grids.chosen(args, "retrieval")
  level_global, level_segment, both = grids.retrieval_levels()
  twice = 2 * demo.get_config(chosen).train.steps
  return Experiment(
      title="Levels of alignment, text-to-video retrieval on the demo",
      config=f"configs/demo.py:{chosen}",
      cells=(
          level_global,
          level_segment,
          both,
          Cell("both_by_both", {"eval.segment_score": 1.0}),  # Ranked by the sum of both scores.
          # What times are worth.
          Cell("both_latent", grids.LATENT | {"eval.segment_score": 0.0}),
          Cell("global_twice_the_steps", {**level_global.overrides, "train.steps": twice}),
      ),
      seeds=grids.seeds(args),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10", "video_to_text_recall_at_1"),
      numbers=("text_to_video/median_rank",),
      baseline="global",
      overrides={"data.eval_split": "dev"},
  )
