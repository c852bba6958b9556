"""Retrieval of clips put together of three captioned videos each, by a paragraph of captions.

Segments differ and their times are known in training, of real footage: what `mla_jax.compose` makes
of MSR-VTT's layout. It reads features; `...:debug` is tiny. Prepare: `timed_captions
--family=composed`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, debug=False)
  config = common.base("msrvtt_mini_composed", "retrieval")
  data = config.data
  data.family = "composed"
  data.eval_texts = "timed_captions"
  data.tokenizer = "timed_captions/tokenizer.model"
  data.dev_split, data.dev_fraction = "val", 0.0
  # Half of the clips with their paragraph, half with one of its sentences.
  data.sources.paragraphs = common.source("timed_captions", "train", 64)
  data.sources.sentences = common.source("timed_captions", "train", 64, sentences=1)
  data.num_frames, data.video_segments = 12, 6
  data.text_length = 64
  model = config.model
  model.num_answers = 0
  model.width = model.embed_dim = 384
  variants.regularise(config)
  # As msrvtt_mini_retrieval.py, the same thousand videos, but for half its rate and less dropout.
  model.video.head_hidden, model.video.temporal_layers = 1024, 0
  model.video.feature_dropout = 0.5
  model.text.layers, model.text.token_dropout = 0, 0.4
  model.dropout = 0.2
  config.optimizer.learning_rate = 1e-3
  loss = config.loss
  loss.segment_pairing = "timed"
  # Parts are of 4 to 60 % of a clip, its segments of a sixth: few reach a higher IoU.
  loss.overlap_upper, loss.overlap_lower = 0.3, 0.1
  # The segments' score alone: the global cosine only takes from it (dev).
  config.eval.global_score, config.eval.segment_score = 0.0, 1.0
  config.train.steps = 400
  return variants.debug(config) if args.debug else config
