"""Pretraining on HowTo100M: features of clips of 32 s and what is said in them, 32,768 a step.

Segments of 4 s are paired with the lines by their times. Speech runs ahead of the picture or
behind it: `...:mil_nce` trusts only that a clip and its lines belong together (MIL-NCE).
`...:debug` is tiny. Prepare: `howto100m --vocab_size=32000`, with S3D's features, one a second.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, mil_nce=False, debug=False)
  config = common.base("pretrain_howto100m", "retrieval")
  variants.pretraining(config, steps=20_000)
  data = config.data
  data.family = "howto100m"
  data.eval_texts, data.eval_split = "timed_captions", "dev"
  data.tokenizer = "timed_captions/tokenizer.model"
  data.sources.narrations = common.source("timed_captions", "train", 32_768)
  data.num_frames, data.video_segments = 32, 8
  data.text_length, data.text_segments = 128, 8  # About 8 lines of 10 words.
  model = config.model
  # What goes round the chips is mostly embeddings: nine a text, three times (docs/scaling.md).
  model.width, model.embed_dim = 768, 256
  model.dtype = "bfloat16"
  model.scan, model.remat = True, "full"
  model.video.feature_width = 512
  model.video.temporal_layers, model.video.heads = 6, 12
  model.text.layers, model.text.heads = 12, 12
  config.loss.segment_pairing = "timed"
  config.loss.overlap_upper = 0.4  # A line of 4 s lies across two segments more often than not.
  if args.mil_nce:
    config.name += "_mil_nce"
    config.loss.segment_pairing, config.loss.segment_variant = "latent", "mil_nce"
  return variants.debug(config) if args.debug else config
