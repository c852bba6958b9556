"""FrameQA of TGIF-QA from 8 frames of 224 px, over all 1,540 train answers.

`...:features` reads features instead of frames, `...:no_video` is the text-only twin,
`...:debug` is tiny. Prepare: `tgif_qa_frameqa --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, no_video=False, debug=False)
  config = common.base("tgif_qa_frameqa", "open_ended_qa")
  variants.questions(config, "tgif", "qa_frameqa", rows=256, text_length=24)
  config.model.num_answers = 1540
  config.train.steps = 15_000
  return variants.question_variants(config, args)
