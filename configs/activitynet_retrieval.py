"""Paragraph retrieval on ActivityNet Captions from 64 frames of 224 px, tested on val_1.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `activitynet_retrieval --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("activitynet_retrieval", "retrieval")
  data = config.data
  data.family = "activitynet"
  data.eval_split = "val_1"
  data.sources.captions = common.source("retrieval", "train", 64)
  data.text_length = 64
  data.text_segments = 8
  config.loss.segment_pairing = "timed+latent"
  config.model.num_answers = 0
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=64, segments=8)
