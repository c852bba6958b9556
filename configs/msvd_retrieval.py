"""Text-video retrieval on MSVD from 12 frames of 224 px; every caption of test is a query.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `msvd_retrieval --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("msvd_retrieval", "retrieval")
  data = config.data
  data.family = "msvd"
  data.sources.captions = common.source("retrieval", "train", 256)
  data.num_frames = 12
  config.model.num_answers = 0
  config.train.steps = 10_000
  if not args.features:
    variants.vit_base(config, frames=12)
  return variants.debug(config) if args.debug else config
