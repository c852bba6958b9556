"""Open-ended QA on MSVD-QA from 8 frames of 224 px, over the 1,000 most frequent train answers.

`...:features` reads features instead of frames, `...:small` too and is a model for a CPU,
`...:no_video` is the text-only twin, `...:debug` is tiny. Prepare: `msvd_qa --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, small=False, no_video=False, debug=False)
  config = common.base("msvd_qa", "open_ended_qa")
  data = config.data
  data.family = "msvd"
  data.eval_texts = "qa"
  data.tokenizer = "qa/tokenizer.model"
  data.sources.questions = common.source("qa", "train", 256, unit="text")
  data.text_length = 24
  config.train.steps = 10_000
  if args.small:
    config.name += "_small"
    variants.small_questions(config)
    config.train.steps = 1000
  elif not args.features:
    variants.vit_base(config)
  if args.no_video:
    config.name += "_no_video"
    variants.without_video(config)
  return variants.debug(config) if args.debug else config
