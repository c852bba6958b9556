"""Pretraining on WebVid-10M: 8 frames of 224 px, ViT-B/16, 8,192 videos a step (v5e:16x16).

`...:debug` is tiny. 26,000 steps are 20 epochs. Tested on the set's own val.
Prepare: `webvid_retrieval --short_side=256 --max_frames=16 --vocab_size=32000`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, debug=False)
  config = common.base("pretrain_webvid", "retrieval")
  variants.vit_base(config, frames=8)
  variants.pretraining(config, steps=26_000)
  config.data.family = "webvid"
  config.data.eval_split = "val"
  config.data.sources.captions = common.source("retrieval", "train", 8192)
  return variants.debug(config) if args.debug else config
