"""QVHighlights: a query's moments and the saliency of every 2-s clip, from 75 frames of 224 px.

`...:features` reads features instead of frames, `...:debug` is tiny.
Prepare: `qvhighlights --short_side=256`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, features=False, debug=False)
  config = common.base("qvhighlights", "localisation")
  data = config.data
  data.family = "qvhighlights"
  data.eval_texts = "localisation"
  data.eval_split = "val"
  data.tokenizer = "localisation/tokenizer.model"
  data.sources.queries = common.source("localisation", "train", 32, unit="text")
  variants.localisation(config, moments="qvhighlights")
  config.eval.nms = 0.7
  config.train.steps = 10_000
  return variants.caption_variants(config, args, frames=75, segments=25)
