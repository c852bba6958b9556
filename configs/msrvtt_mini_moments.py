"""Moment localisation on MSR-VTT's layout: which seconds a timed sentence is about.

`configs/msrvtt_mini_moments.py` scores windows by their similarity to the sentence, as the
alignment trained them; `...:span` trains a head for start and end. It reads features; `...:debug`
is tiny. `...:minilm` has a pretrained text encoder, from --config.model.text.pretrained=DIR.
Prepare: `timed_localisation --family=msrvtt`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, span=False, minilm=False, debug=False)
  config = common.base("msrvtt_mini_moments", "localisation")
  data = config.data
  data.family = "msrvtt"
  data.eval_texts = "localisation"
  data.eval_split = "validate"
  data.tokenizer = "localisation/tokenizer.model"
  data.sources.queries = common.source("localisation", "train", 64)
  data.captions = 3  # Sentences of a video, which is encoded once for them.
  data.num_frames = 24
  data.video_segments = 12
  data.text_length = 32
  variants.regularise(config)
  model = config.model
  model.width = model.embed_dim = 128
  model.text.layers = model.fusion.layers = 1
  model.dropout = 0.2
  model.num_answers = 0
  config.eval.scoring = "contrastive"
  config.loss.segment_pairing = "timed"
  config.train.steps = 400
  if args.span:
    config.name += "_span"
    variants.localisation(config)
    config.eval.scoring = "head"
    _little_to_learn_from(config)
  if args.minilm:
    config.name += "_minilm"
    variants.bert_text(config, frozen_layers=6)
  return variants.debug(config) if args.debug else config


def _little_to_learn_from(config: ConfigDict) -> None:
  """A head for spans soon knows six thousand sentences by heart: it learns slowly, and stops."""
  config.model.dropout, config.model.video.feature_dropout = 0.3, 0.7
  loss = config.loss
  loss.task_weight, loss.global_weight, loss.segment_weight = 3.0, 0.25, 0.25
  config.optimizer.learning_rate = 5e-4
  config.optimizer.warmup_steps = 20
  config.train.steps = 200
  config.train.eval_every = config.train.checkpoint_every = 50
