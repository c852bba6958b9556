"""TVQA from 16 frames of 224 px: one of five candidates is right; evaluated on val.

`...:features` reads features instead of frames, `...:no_video` is the text-only twin,
`...:subtitles=all` reads what is said in the clip behind question and candidate,
`...:subtitles=moment` what is said at the question's time stamps, `...:debug` is tiny.
Prepare: `tvqa --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, no_video=False, subtitles="", debug=False)
  config = common.base("tvqa", "multiple_choice_qa")
  variants.questions(config, "tvqa", "qa", rows=64, text_length=64)
  variants.multiple_choice(config)
  variants.subtitles(config, args.subtitles, text_length=256)
  config.data.eval_split = "val"
  config.train.steps = 15_000
  return variants.question_variants(config, args, frames=16)
