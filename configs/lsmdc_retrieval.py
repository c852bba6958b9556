"""Text-video retrieval on LSMDC from 12 frames of 224 px: 1,000 test clips.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `lsmdc_retrieval --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("lsmdc_retrieval", "retrieval")
  data = config.data
  data.family = "lsmdc"
  data.sources.captions = common.source("retrieval", "train", 256)
  config.model.num_answers = 0
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=12, segments=6)
