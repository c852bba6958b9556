"""Repeated actions of TGIF-QA from 8 frames of 224 px: one of five candidates is right.

`...:features` reads features instead of frames, `...:no_video` is the text-only twin,
`...:debug` is tiny. Prepare: `tgif_qa_action --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, no_video=False, debug=False)
  config = common.base("tgif_qa_action", "multiple_choice_qa")
  variants.questions(config, "tgif", "qa_action", rows=64, text_length=24)
  variants.multiple_choice(config)
  config.train.steps = 15_000
  return variants.question_variants(config, args)
