"""Paragraph retrieval on DiDeMo from 64 frames of 224 px: a video by all its descriptions.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `didemo_retrieval --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("didemo_retrieval", "retrieval")
  data = config.data
  data.family = "didemo"
  data.sources.captions = common.source("retrieval", "train", 64)
  data.text_length = 64
  data.text_segments = 8
  config.loss.segment_pairing = "timed+latent"
  config.model.num_answers = 0
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=64, segments=6)
