"""DiDeMo: which of the 21 moments a description is of, from 36 frames of 224 px, 6 a chunk.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `didemo_localisation --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("didemo_localisation", "localisation")
  data = config.data
  data.family = "didemo"
  data.eval_texts = "localisation"
  data.tokenizer = "localisation/tokenizer.model"
  data.sources.queries = common.source("localisation", "train", 64, unit="text")
  variants.localisation(config, moments="didemo")
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=36, segments=6)
