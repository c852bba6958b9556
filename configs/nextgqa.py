"""NExT-GQA: the moment that shows a question's answer, from 32 frames of 224 px, tested on test.

No training text has a moment: videos align with NExT-QA's questions and answers, and a window is as
good as its similarity to the question. Only the choice of the step looks at moments, those of val;
`--config.data.dev_split=""` keeps the last one. `...:features` reads features instead of frames,
`...:debug` is tiny. Prepare: `nextqa --short_side=256` and `nextgqa --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("nextgqa", "localisation")
  variants.questions(config, "nextqa", "qa", rows=64, text_length=48)
  data = config.data
  data.eval_texts = "gqa"
  data.dev_split, data.dev_fraction = "val", 0.0
  config.model.num_answers = 0
  config.eval.scoring, config.eval.moments = "contrastive", "nextgqa"
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=32, segments=16)
