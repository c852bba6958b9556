"""The embedded demo: questions about the order of events, aligned with timed sentences.

`...:no_video` is the text-only twin, `...:retrieval` learns to find videos and is asked nothing,
`...:debug` is tiny. `make demo` renders and runs it.
"""

from ml_collections import ConfigDict

from configs import common, variants
from mla_jax.config_lib import parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
  args = parse_arg(arg, no_video=False, retrieval=False, debug=False)
  config = common.base("demo", "open_ended_qa")
  variants.pixels(config, image_size=64)
  data = config.data
  data.family = "demo"
  data.eval_texts = "qa"
  data.tokenizer = "qa/tokenizer.model"
  # By what else a paragraph tells its video can be found without the actions: hence sentences too.
  beside = {
      "paragraph": common.beside("timed_captions", 1),
      "sentences": common.beside("timed_captions", 2, sentences=1),
  }
  data.sources.questions = common.source("qa", "train", 40, beside=beside)
  data.captions = 2
  data.text_length = 28
  data.crop_scale = 1.0
  data.frame_jitter = 0.5
  data.dev_fraction = 0.05
  model = config.model
  model.width = model.embed_dim = 128
  model.dropout = 0.0
  model.video.motion = True
  model.video.frame_layers, model.video.temporal_layers = 2, 2
  model.text.vocab_size, model.text.layers = 256, 1
  model.num_answers = 17
  loss = config.loss
  loss.task_weight, loss.segment_weight = 2.0, 2.0
  loss.segment_pairing = "timed"
  loss.overlap_upper = 0.45
  config.train.steps = 600
  config.train.eval_every = config.train.checkpoint_every = 200
  if args.no_video:
    config.name += "_no_video"
    variants.without_video(config)
    data.sources.questions.beside = {}  # Nothing to align them with.
  if args.retrieval:
    _retrieval(config)
  return variants.debug(config) if args.debug else config


def _retrieval(config: ConfigDict) -> None:
  """As many clips a step, half of them with their paragraph, half with two runs of sentences."""
  config.name += "_retrieval"
  config.task = "retrieval"
  config.model.num_answers = 0
  config.data.eval_texts = "timed_captions"
  config.data.sources = {
      "paragraphs": common.source("timed_captions", "train", 20),
      "sentences": common.source("timed_captions", "train", 20, sentences=1),
  }
  # Which sentence is about which part of a clip tells clips apart that whole vectors confuse.
  config.eval.segment_score = 1.0
