"""Open-ended NExT-QA from 16 frames of 224 px, over the 1,000 most frequent train answers.

`...:features` reads features instead of frames, `...:no_video` is the text-only twin,
`...:debug` is tiny. Prepare: `nextqa_oe --short_side=256`.

Its answers are whole sentences: 1,000 of them are those of 36.25 % of the test questions, which no
accuracy can exceed; all 20,043 train answers (--config.model.num_answers=20043) of 50.45 %.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, no_video=False, debug=False)
  config = common.base("nextqa_oe", "open_ended_qa")
  variants.questions(config, "nextqa", "oe", rows=256, text_length=32)
  config.train.steps = 15_000
  return variants.question_variants(config, args, frames=16)
