"""Text-video retrieval on MSR-VTT: trained on 9k, tested on 1k-A, from 12 frames of 224 px.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `msrvtt_retrieval`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("msrvtt_retrieval", "retrieval")
  data = config.data
  data.family = "msrvtt"
  data.eval_split = "test_1k_a"
  data.sources.captions = common.source("retrieval", "train_9k", 256)
  data.num_frames = 12
  config.model.num_answers = 0
  config.train.steps = 10_000
  if not args.features:
    variants.vit_base(config, frames=12)
  return variants.debug(config) if args.debug else config
