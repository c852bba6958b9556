"""What several configs change together: inputs, sizes, tasks, and the arguments they share."""

from ml_collections import ConfigDict

from configs import common


def pixels(config: ConfigDict, *, image_size: int = 112, frames: int = 8) -> None:
  """Reads frames instead of features: a small ViT on each, trained from scratch."""
  config.model.video.kind = "pixels"
  config.data.image_size = image_size
  config.data.num_frames = frames
  config.data.video_segments = frames // 2


def small_pixels(config: ConfigDict, *, rows: dict[str, int]) -> None:
  """Frames of 64 px and a ViT for a laptop's CPU; each video it encodes meets four texts."""
  pixels(config, image_size=64)
  _resize(config, 128)
  config.model.video.frame_layers = 2
  config.data.captions = 4
  for name, source in config.data.sources.items():
    source.unit, source.rows = "video", rows[name]


def _resize(config: ConfigDict, width: int) -> None:
  """Another width of the model and of the shared space, which is then no text encoder's own."""
  config.model.width = config.model.embed_dim = width
  config.model.text.identity_heads = False
  config.model.video.regressor_hidden, config.eval.regression_score = 0, 0.0


def regularise(config: ConfigDict) -> None:
  """For a thousand training videos, which a run sees many times: noise, an average, early stops."""
  config.model.text.token_dropout = 0.2
  config.model.video.feature_dropout = 0.3
  config.optimizer.ema_decay = 0.99
  config.train.eval_every = config.train.checkpoint_every = 100


def small_questions(config: ConfigDict) -> None:
  """A QA model for a CPU: so small that its minutes are many looks at each question."""
  config.data.text_length = 20
  regularise(config)
  model = config.model
  model.width = model.embed_dim = 128
  model.text.layers = model.fusion.layers = 1
  # A question is few words and each counts.
  model.dropout, model.text.token_dropout = 0.1, 0.0
  config.optimizer.weight_decay = 0.1
  loss = config.loss
  loss.task_weight, loss.global_weight, loss.segment_weight = 3.0, 0.5, 0.25
  loss.label_smoothing = 0.1


def bert_text(config: ConfigDict, *, frozen_layers: int) -> None:
  """MiniLM-L6 (all-MiniLM-L6-v2 and its kin) as text encoder.

  Its weights and tokenizer come from --config.model.text.pretrained=DIR, a folder with config.json,
  model.safetensors and tokenizer.json.
  """
  text = config.model.text
  text.kind = "bert"
  text.vocab_size, text.max_length = 30_522, 512
  text.width, text.layers, text.heads = 384, 6, 12
  text.frozen_layers = frozen_layers
  config.data.text_length += 2  # [CLS] and [SEP].


def vit_base(config: ConfigDict, *, frames: int = 8) -> None:
  """ViT-B/16 at 224 px with a text encoder to match: for accelerators."""
  pixels(config, image_size=224, frames=frames)
  model = config.model
  model.width, model.embed_dim = 768, 512
  model.dtype = "bfloat16"
  model.scan, model.remat = True, "full"
  model.video.frame_layers, model.video.temporal_layers, model.video.heads = 12, 2, 12
  model.text.layers, model.text.heads = 12, 12
  model.fusion.layers, model.fusion.heads = 4, 12
  config.optimizer.learning_rate = 1e-4


def questions(
    config: ConfigDict, family: str, texts: str, *, rows: int, text_length: int
) -> None:
  """Trains on the questions of a folder of texts and is evaluated on its test split."""
  data = config.data
  data.family, data.eval_texts = family, texts
  data.tokenizer = f"{texts}/tokenizer.model"
  data.sources.questions = common.source(texts, "train", rows, unit="text")
  data.text_length = text_length


def multiple_choice(config: ConfigDict, *, candidates: int = 5) -> None:
  """Scores each candidate by a head that puts out one number."""
  config.data.candidates = candidates
  config.model.num_answers = 1


def subtitles(config: ConfigDict, which: str, *, text_length: int) -> None:
  """What is said is read behind each candidate, as much as fits; "" changes nothing."""
  if which:
    config.name += f"_subtitles_{which}"
    config.data.subtitles, config.data.text_length = which, text_length


def localisation(config: ConfigDict, *, moments: str = "windows") -> None:
  """Finds moments by a head for their start and end; the segments align by their times."""
  config.model.head, config.model.num_answers = "span", 2
  config.loss.segment_pairing = "timed+latent"
  config.eval.moments = moments


def caption_variants(
    config: ConfigDict, args: ConfigDict, *, frames: int, segments: int
) -> ConfigDict:
  """What `features` and `debug` change of a run with captions or queries."""
  config.model.video.max_frames = max(config.model.video.max_frames, frames)
  config.data.num_frames = frames
  if not args.features:
    vit_base(config, frames=frames)
  config.data.video_segments = segments
  return debug(config) if args.debug else config


def question_variants(config: ConfigDict, args: ConfigDict, *, frames: int = 8) -> ConfigDict:
  """What `features`, `no_video` and `debug` change of a run with questions."""
  config.data.num_frames = frames
  if not args.features:
    vit_base(config, frames=frames)
  if args.no_video:
    config.name += "_no_video"
    without_video(config)
  return debug(config) if args.debug else config


def without_video(config: ConfigDict) -> None:
  """The text-only twin of a QA run: the same model, nothing to align, no frame read."""
  config.model.use_video = False
  config.loss.global_weight = config.loss.segment_weight = 0.0


def pretraining(config: ConfigDict, *, steps: int) -> None:
  """Aligns millions of videos with noisy texts on a pod: CLIP's optimizer, ring losses, no dropout.

  The texts are cut by a tokenizer of 32,000 pieces, and one training video of 2,000 selects.
  """
  config.model.dropout = 0.0
  config.model.num_answers = 0
  config.model.text.vocab_size = 32_000
  config.loss.impl = "ring"
  optimizer = config.optimizer
  optimizer.learning_rate, optimizer.weight_decay = 5e-4, 0.2
  optimizer.warmup_steps = 2000
  config.data.dev_fraction = 0.0005
  config.data.workers = 8  # A host of four chips wants more rows than one process of Python makes.
  config.train.steps = steps
  config.train.log_every = 100
  config.train.eval_every = config.train.checkpoint_every = 1000
  config.eval.batch_size = 1024


def debug(config: ConfigDict, *, rows: int = 8) -> ConfigDict:
  """The same run at a size that takes seconds on a laptop: every code path, no meaning."""
  for source in config.data.sources.values():
    source.rows = rows
  config.data.workers = min(config.data.workers, 1)
  config.data.num_frames = 4
  config.data.video_segments = 2
  config.data.text_length = 16
  config.data.image_size = 2 * config.model.video.patch_size
  _resize(config, 32)
  for part in ("video", "text", "fusion"):
    config.model[part].heads = 2
  config.model.video.frame_layers = config.model.video.temporal_layers = 1
  config.model.text.layers = config.model.fusion.layers = 1
  config.model.fusion.hidden = min(config.model.fusion.hidden, 16)
  config.model.video.head_hidden = min(config.model.video.head_hidden, 16)
  if config.model.text.kind == "bert":
    config.model.text.width = 16  # Not the model's, so that it is projected.
    config.model.text.frozen_layers, config.model.fusion.words = -1, False
  config.optimizer.warmup_steps = 1
  config.train.steps = 4
  config.train.log_every = 1
  config.train.eval_every = config.train.checkpoint_every = 2
  config.eval.batch_size = 8
  config.eval.bootstrap = 50
  config.eval.examples = 2
  return config
