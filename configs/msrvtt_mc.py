"""MSRVTT-MC from 12 frames of 224 px: which of five captions is the video's, by their similarity.

Trained on the captions of train_7k, which holds no test video; the last step is evaluated, since no
training text has candidates to select by. `...:features` reads features instead of frames,
`...:debug` is tiny. Prepare: `msrvtt_retrieval --short_side=256` and `msrvtt_mc --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("msrvtt_mc", "multiple_choice_qa")
  config.eval.scoring = "contrastive"
  data = config.data
  data.family = "msrvtt"
  data.eval_texts = "mc"
  data.dev_fraction = 0.0
  data.sources.captions = common.source("retrieval", "train_7k", 256)
  config.model.num_answers = 0
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=12, segments=6)
