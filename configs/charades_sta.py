"""Charades-STA: the moment of a sentence, from 32 frames of 224 px.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `charades_sta --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("charades_sta", "localisation")
  data = config.data
  data.family = "charades"
  data.eval_texts = "localisation"
  data.tokenizer = "localisation/tokenizer.model"
  data.sources.queries = common.source("localisation", "train", 64, unit="text")
  variants.localisation(config)
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=32, segments=16)
