"""Repetition counts of TGIF-QA from 8 frames of 224 px: 0 to 10, by regression.

`...:ordinal` predicts P(count > k) instead, `...:features` reads features instead of frames,
`...:no_video` is the text-only twin, `...:debug` is tiny.
Prepare: `tgif_qa_count --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, ordinal=False, features=False, no_video=False, debug=False)
  config = common.base("tgif_qa_count", "counting")
  variants.questions(config, "tgif", "qa_count", rows=64, text_length=20)
  config.model.num_answers = 1
  if args.ordinal:
    config.name += "_ordinal"
    config.model.head, config.model.num_answers = "ordinal", 10
  config.train.steps = 15_000
  return variants.question_variants(config, args)
