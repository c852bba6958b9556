"""ActivityNet-QA from 16 frames of 224 px, over the 1,000 most frequent train answers.

`...:features` reads features instead of frames, `...:no_video` is the text-only twin,
`...:debug` is tiny. Prepare: `activitynet_qa --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, no_video=False, debug=False)
  config = common.base("activitynet_qa", "open_ended_qa")
  variants.questions(config, "activitynet", "qa", rows=256, text_length=32)
  config.train.steps = 15_000
  return variants.question_variants(config, args, frames=16)
