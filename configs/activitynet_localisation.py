"""ActivityNet Captions: the moment of a sentence, from 64 frames of 224 px, tested on val_2.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `activitynet_localisation --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("activitynet_localisation", "localisation")
  data = config.data
  data.family = "activitynet"
  data.eval_texts = "localisation"
  data.eval_split = "val_2"
  data.tokenizer = "localisation/tokenizer.model"
  data.sources.queries = common.source("localisation", "train", 64, unit="text")
  variants.localisation(config)
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=64, segments=16)
