"""Open-ended QA on MSR-VTT's layout, with multi-level alignment of question + answer.

`configs/msrvtt_mini_qa.py` reads features, `...:pixels` frames, `...:no_video` is the text-only
twin of the same model, `...:debug` is tiny. `...:minilm` has a pretrained text encoder, from
--config.model.text.pretrained=DIR. Prepare: `msrvtt_qa`.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, pixels=False, minilm=False, no_video=False, debug=False)
  config = common.base("msrvtt_mini_qa", "open_ended_qa")
  data = config.data
  data.family = "msrvtt"
  data.eval_texts = "qa"
  data.eval_split = "val"
  data.tokenizer = "qa/tokenizer.model"
  data.sources.questions = common.source("qa", "train", 256, unit="text")
  data.num_frames = 12
  data.video_segments = 6
  variants.small_questions(config)
  config.train.steps = 500
  if args.minilm:
    config.name += "_minilm"
    _sentences_known(config)
  if args.pixels:
    config.name += "_pixels"
    variants.small_pixels(config, rows={"questions": 64})
    config.train.steps = 300
  if args.no_video:
    config.name += "_no_video"
    variants.without_video(config)
  return variants.debug(config) if args.debug else config


def _sentences_known(config: ConfigDict) -> None:
  """Frozen MiniLM: what is left to learn is little, so what overfits is left out."""
  config.data.text_length = 16
  variants.bert_text(config, frozen_layers=6)
  config.data.captions = 4  # Questions of a video, which is encoded once for them.
  questions = config.data.sources.questions
  questions.unit, questions.rows = "video", 128
  model = config.model
  model.width = model.embed_dim = model.text.width
  model.text.identity_heads = True
  model.fusion.kind, model.fusion.hidden, model.fusion.words = "gated", 512, True
  model.video.head_hidden, model.video.temporal_layers = 1024, 0
  model.dropout, model.video.feature_dropout = 0.5, 0.7
  # What is fused are plain means: weights for words and frames would be learned by heart.
  config.optimizer.freeze = ("fusion/.*pool/score/.*",)
  config.optimizer.learning_rate = 2e-3
  config.train.steps = 600
  config.train.eval_every = config.train.checkpoint_every = 200
