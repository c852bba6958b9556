"""Retrieval by segments alone, ranked by their score: how many a video and a text have.

`video_N_text_M` cuts clips into at most N segments and texts into at most M. Arguments as of
msrvtt_mini_retrieval.py. Chosen on the videos kept out of training.
"""

from configs.experiments import grids
from mla_jax.config_lib import parse_arg
from mla_jax.experiments.plan import Cell, Experiment

_NUMBERS = ((4, 4), (1, 4), (2, 4), (8, 4), (4, 1), (4, 2), (1, 1))


def get_experiment(arg: str | None = None) -> Experiment:
  args = parse_arg(arg, minilm=False, debug=False)
  segments = grids.retrieval_levels()[1]
  return Experiment(
      title=f"Number of segments, text-to-video retrieval on msrvtt_mini, {grids.inputs(args)}",
      config=f"configs/msrvtt_mini_retrieval.py:{grids.chosen(args)}",
      cells=tuple(
          Cell(
              f"video_{video}_text_{text}",
              {
                  **segments.overrides,
                  "data.video_segments": video,
                  "data.text_segments": text,
                  "data.num_frames": 8,
              },
          )
          for video, text in _NUMBERS
      ),
      seeds=grids.seeds(args),
      metrics=("recall_at_1", "recall_at_5", "recall_at_10"),
      numbers=("text_to_video/median_rank",),
      baseline="video_4_text_4",
      overrides={"data.eval_split": "dev", **grids.LATENT},
  )
