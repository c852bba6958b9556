"""Text-clip retrieval on YouCook2 from 16 frames of 224 px, tested on val.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `youcook2_retrieval --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("youcook2_retrieval", "retrieval")
  data = config.data
  data.family = "youcook2"
  data.eval_split = "val"
  data.sources.captions = common.source("retrieval", "train", 256)
  config.model.num_answers = 0
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=16, segments=8)
