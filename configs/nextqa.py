"""NExT-QA from 16 frames of 224 px: one of five candidates is right; evaluated on val.

`...:features` reads features instead of frames, `...:no_video` is the text-only twin,
`...:debug` is tiny. Prepare: `nextqa --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, no_video=False, debug=False)
  config = common.base("nextqa", "multiple_choice_qa")
  variants.questions(config, "nextqa", "qa", rows=64, text_length=48)
  variants.multiple_choice(config)
  config.data.eval_split = "val"
  config.train.steps = 15_000
  return variants.question_variants(config, args, frames=16)
