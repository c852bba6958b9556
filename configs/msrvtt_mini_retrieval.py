"""Text-video retrieval on MSR-VTT's layout: captions, and timed sentences where there are any.

`configs/msrvtt_mini_retrieval.py` reads features, `...:pixels` frames; `...:debug` is tiny.
`...:captions` has captions in the place of timed sentences, which then need not be prepared.
`...:minilm` has a pretrained text encoder, from --config.model.text.pretrained=DIR, and aligns
questions with their answers too. Prepare: `msrvtt_retrieval`, then `timed_captions
--family=msrvtt`, for MiniLM `msrvtt_qa` as well, into one `--out`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, captions=False, pixels=False, minilm=False, debug=False)
  config = common.base("msrvtt_mini_retrieval", "retrieval")
  data = config.data
  data.family = "msrvtt"
  data.eval_split = "validate"
  data.sources.captions = common.source("retrieval", "train", 160)
  data.sources.timed = common.source("timed_captions", "train", 32, sentences=1)
  data.captions = 4  # Captions of a video, which is encoded once for them.
  data.num_frames, data.video_segments = 8, 4  # Of three videos in four all, at one a second.
  data.text_length = 24  # One caption in eighty is longer.
  config.model.num_answers = 0
  config.model.width = config.model.embed_dim = 384
  variants.regularise(config)
  config.model.video.head_hidden, config.model.video.temporal_layers = 1024, 0
  config.model.video.feature_dropout = 0.7
  config.train.steps = 400
  # The sentences of `timed` tell one frame from the next: what learns that finds no whole videos.
  config.loss.segment_pairing = "latent"
  if args.minilm:
    _sentences_known(config)
  else:
    _words_to_learn(config)
  if args.pixels:
    config.name += "_pixels"
    variants.small_pixels(config, rows={"captions": 64, "timed": 16, "questions": 16})
    config.optimizer.learning_rate = 1e-3
  if args.captions:
    config.name += "_captions"
    sources = data.sources
    sources.captions.rows += sources.timed.rows
    del sources["timed"]
  return variants.debug(config) if args.debug else config


def _words_to_learn(config: ConfigDict) -> None:
  """Weighted means of words: what thinks about their order learns captions by heart."""
  config.model.text.layers, config.model.text.token_dropout = 0, 0.4
  config.model.dropout = 0.2
  config.optimizer.learning_rate = 2e-3


def _sentences_known(config: ConfigDict) -> None:
  """Frozen MiniLM: what is left to learn is little, so what overfits is left out."""
  config.name += "_minilm"
  variants.bert_text(config, frozen_layers=6)
  # Some videos have no text but questions.
  config.data.sources.questions = common.source("qa", "train", 32, unit="video")
  config.model.text.identity_heads = True
  config.model.video.regressor_hidden = 2048
  config.eval.regression_score = 1.0
  config.model.dropout = config.model.text.token_dropout = 0.0
  config.train.eval_every = config.train.checkpoint_every = 200
