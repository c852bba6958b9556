"""Model FLOPs of a train step, counted from the config.

A multiplication with its addition counts 2, and matrix products alone are counted. What is trained
costs twice its forward pass on the way back, the first products of the encoders once (their inputs
have no gradient). Nothing that is computed twice to save memory counts twice: these are the FLOPs
of the model, as in model FLOPs utilisation (Chowdhery et al. 2022, arXiv 2204.02311, appendix B).
"""

from ml_collections import ConfigDict

from mla_jax.data import sources
from mla_jax.models.video_encoder import WAVES

Count = dict[str, float]  # FLOPs by part of the model.
_ASK = ("open_ended_qa", "multiple_choice_qa", "counting")  # Tasks with texts beside the aligned.


def train_step_flops(config: ConfigDict, rows: int) -> Count:
  """FLOPs of forward and backward pass over a global batch, by part of the model.

  Args:
    config: of the run.
    rows: of the global batch.
  """
  slots = rows * sources.slots(config.data)
  aligns = bool(config.loss.global_weight or config.loss.segment_weight)
  asks, scoring = config.task in _ASK, config.eval.scoring
  own = rows * config.data.captions
  asked = own * (config.data.candidates if config.task == "multiple_choice_qa" else 1)
  # What is asked is encoded beside all texts that are aligned; elsewhere these are all there is.
  parts = _text(config, asked + aligns * slots if asks else slots)
  by_cosine = config.task == "multiple_choice_qa" and scoring == "contrastive"
  if config.model.use_video:
    parts |= _video(config, rows)
    if aligns or by_cosine:
      parts["heads"] = _heads(config, rows, slots, scored=by_cosine * asked)
    if aligns:
      parts["heads"] += _regressor(config, rows)
      parts["losses"] = _losses(config, rows, slots)
  if asks and not by_cosine:
    parts["fusion"] = _fusion(config, asked)
  if config.task == "localisation" and scoring == "head":
    parts["fusion"] = _spans(config, own)
  return parts


def transformer(tokens: float, width: int, length: int, layers: int, memory: int = 0) -> float:
  """Forward FLOPs of layers over sequences of `length`, looking at `memory` places if there are.

  Args:
    tokens: of all sequences together.
    width: D.
    length: S.
    layers: how many.
    memory: places of each sequence's memory.
  """
  per_token: float = 8 * width**2 + 4 * length * width + 16 * width**2
  if memory:
    per_token += 4 * width**2 + 4 * memory * width + 4 * width**2 * memory / length
  return tokens * per_token * layers


def _video(config: ConfigDict, rows: int) -> Count:
  video, width = config.model.video, config.model.width
  length = config.data.num_frames
  frames = rows * length
  parts = {}
  if video.kind == "pixels":
    patches = (config.data.image_size // video.patch_size) ** 2
    embed = 2 * frames * patches * 3 * video.patch_size**2 * width * (1 + video.motion)
    layers = transformer(frames * patches, width, patches, video.frame_layers)
    parts["frames"] = 2 * embed + 3 * (layers + frames * _pool(patches, 1, width, video.heads))
  else:
    # The norm before the projection is trained: it needs the gradient of the input too.
    parts["frames"] = 3 * 2 * frames * video.feature_width * width
  times = 2 * (2 * frames * 2 * WAVES * width)
  parts["temporal"] = times + 3 * transformer(frames, width, length, video.temporal_layers)
  return parts


def _text(config: ConfigDict, texts: int) -> Count:
  text, length = config.model.text, config.data.text_length
  width = text.width or config.model.width
  frozen = max(text.frozen_layers, 0)

  def layers(count: int) -> float:
    return transformer(texts * length, width, length, count)

  count = 3 * layers(text.layers - frozen) + (0 if text.cache else layers(frozen))
  projections = width != config.model.width
  count += projections * 3 * 2 * texts * length * width * config.model.width
  return {"text": count}


def _pool(places: int, groups: int, width: int, heads: int) -> float:
  """Of one sequence: the scores of its places, and the weighted means of its groups."""
  return 2 * places * width * heads + 2 * groups * places * width


def _heads(config: ConfigDict, rows: int, texts: int, scored: int) -> float:
  """Both levels of both sides of what is aligned, and the global one of texts scored by cosine."""
  model, data, loss = config.model, config.data, config.loss
  whole, parts = bool(loss.global_weight), bool(loss.segment_weight)
  hidden, projection = model.video.head_hidden, model.width * model.embed_dim
  video = hidden * (model.width + model.embed_dim) or projection
  count = 0.0
  for many, places, groups, product in (
      (rows * (whole or scored > 0), data.num_frames, 1, video),
      (texts * whole + scored, data.text_length, 1, projection),
      (rows * parts, data.num_frames, data.video_segments, video),
      (texts * parts, data.text_length, data.text_segments, projection),
  ):
    pooled = _pool(places, groups, model.width, model.fusion.heads)
    count += many * (pooled + 2 * groups * product)
  return 3 * count


def _regressor(config: ConfigDict, rows: int) -> float:
  """The features, which come first, need no gradient."""
  hidden = config.model.video.regressor_hidden
  return 2 * rows * hidden * (2 * config.model.video.feature_width + 3 * config.model.embed_dim)


def _losses(config: ConfigDict, rows: int, texts: int) -> float:
  """The similarities of all pairs."""
  loss, data = config.loss, config.data
  pairs = float(bool(loss.global_weight))
  if loss.segment_weight:
    pairings = len(loss.segment_pairing.split("+"))
    pairs += pairings * data.video_segments * data.text_segments
  return 3 * 2 * pairs * rows * texts * config.model.embed_dim


def _fusion(config: ConfigDict, questions: int) -> float:
  model, length = config.model, config.data.text_length
  memory = config.data.num_frames if model.use_video else 0
  # Of an ordinal head the thresholds share one score.
  answers = 1 if model.head == "ordinal" else model.num_answers
  if model.fusion.kind != "cross":
    return 3 * questions * _pooled_fusion(config, memory, answers)
  fused = transformer(questions * length, model.width, length, model.fusion.layers, memory)
  pooled = _pool(length, 1, model.width, model.fusion.heads)
  return 3 * (fused + questions * (pooled + 2 * model.width * answers))


def _pooled_fusion(config: ConfigDict, memory: int, answers: int) -> float:
  """Forward alone, of one question."""
  model, fusion = config.model, config.model.fusion
  sides, hidden = 1 + bool(memory), fusion.hidden or model.width
  pooled = sum(
      _pool(count, 1, model.width, fusion.heads) for count in (config.data.text_length, memory)
  )
  words = fusion.words * model.text.width
  if fusion.kind == "gated":  # A layer of either side, and the gate.
    products = (sides * (model.width + words) + (sides - 1) * model.width) * hidden
  elif fusion.hidden:
    products = (sides * (hidden + model.width) + words) * hidden
  else:
    products = (sides * hidden + words) * hidden
  # The head pools the one state that comes out.
  last = _pool(1, 1, hidden, fusion.heads) + 2 * hidden * answers
  return pooled + 2 * products + last


def _spans(config: ConfigDict, queries: int) -> float:
  """Frame states that look at the text of each query, and a start and an end of each."""
  model, frames = config.model, config.data.num_frames
  layers = transformer(
      queries * frames, model.width, frames, model.fusion.layers, config.data.text_length
  )
  return 3 * (layers + queries * frames * 2 * model.width * model.num_answers)
