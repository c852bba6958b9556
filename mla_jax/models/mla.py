"""The model: two encoders, a shared space at two levels, fusion and the answer head."""

from collections.abc import Mapping
import dataclasses
import functools

from flax import linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from mla_jax.errors import UserError
from mla_jax.models import (
    bert_encoder,
    fusion,
    layers,
    pooling,
    primitives,
    regressor,
    text_encoder,
    video_encoder,
)
from mla_jax.models.scales import LearnedScales, Scales

_ANSWER_HEADS = {"answer": fusion.AnswerHead, "ordinal": fusion.OrdinalHead}
TEXT = ("text", "text_mask", "text_segment")  # What `encode_text` reads of a batch.
HEADS = (*_ANSWER_HEADS, "span")
_TEXT_ENCODERS = {"scratch": text_encoder.TextEncoder, "bert": bert_encoder.BertEncoder}


@flax.struct.dataclass
class Embeddings:
  """What alignment reads of one side of a batch. Rows and segments that are not real hold zeros."""

  global_embedding: Float[Array, "B E"]  # Unit length, float32.
  segment_embedding: Float[Array, "B N E"]  # Unit length, float32.
  segment_mask: Bool[Array, "B N"]
  # With a regressor, in the space of the pretrained text encoder: where texts are (no gradient), or
  # where those of a clip are guessed to be. Unit length, float32.
  pretrained: Float[Array, "B E"] | None = None


@flax.struct.dataclass
class Encoded(Embeddings):
  """One side of a batch, with the states it is pooled from; zeros at places that are not real."""

  states: Float[Array, "B S D"] = flax.struct.field(kw_only=True)
  mask: Bool[Array, "B S"] = flax.struct.field(kw_only=True)
  words: Float[Array, "B W"] | None = None  # Of a text, where fusion reads them.

  @property
  def embeddings(self) -> Embeddings:
    """Without the states."""
    return Embeddings(
        self.global_embedding, self.segment_embedding, self.segment_mask, self.pretrained
    )


class Heads(nn.Module):
  """What turns states into embeddings and answers."""

  common: layers.Common
  embed_dim: int
  head: str
  num_answers: int
  pool_heads: int
  video_config: video_encoder.VideoConfig | None  # None: the text-only twin.
  identity_text: bool

  def setup(self) -> None:
    head = functools.partial(
        pooling.AlignmentHead, self.embed_dim, self.pool_heads, self.common.dtype
    )
    init = primitives.identity_init if self.identity_text else primitives.kernel_init
    self.text_global, self.text_segment = head(kernel_init=init), head(kernel_init=init)
    if self.video_config:
      hidden, dropout = self.video_config.head_hidden, self.video_config.feature_dropout
      self.video_global = head(hidden=hidden, dropout=dropout)
      self.video_segment = head(hidden=hidden, dropout=dropout)
      if self.video_config.regressor_hidden:
        self.regressor = regressor.Regressor(
            self.video_config.regressor_hidden,
            self.embed_dim,
            self.video_config.regressor_dropout,
            self.common.dtype,
        )
    if self.num_answers and self.head in _ANSWER_HEADS:
      answer = _ANSWER_HEADS[self.head]
      self.answer = answer(self.common, self.num_answers, self.pool_heads)
    elif self.num_answers:
      self.span = fusion.SpanHead(self.common)


class MLA(nn.Module):
  """Encoders with multi-level alignment; `build.build_model` makes one from a config."""

  common: layers.Common
  video_config: video_encoder.VideoConfig
  text_config: text_encoder.TextConfig
  fusion_config: fusion.FusionConfig
  embed_dim: int
  head: str  # One of HEADS.
  num_answers: int  # What the head puts out; 0: neither fusion nor head.
  use_video: bool  # False: the text-only twin.
  init_temperature: float
  init_bias: float

  def setup(self) -> None:
    if self.use_video:
      self.video = video_encoder.VideoEncoder(self.common, self.video_config)
    self.text = _TEXT_ENCODERS[self.text_config.kind](self.common, self.text_config)
    if self.num_answers:
      self.fusion = fusion.FUSIONS[self.fusion_config.kind](self.common, self.fusion_config)
    sizes = (self.embed_dim, self.head, self.num_answers, self.fusion_config.heads)
    video = self.video_config if self.use_video else None
    self.heads = Heads(self.common, *sizes, video, self.text_config.identity_heads)
    self.learned_scales = LearnedScales(self.init_temperature, self.init_bias, name="scales")

  def encode_video(
      self,
      video: Shaped[Array, "B T ..."],
      frame_mask: Bool[Array, "B T"],
      frame_time: Float[Array, "B T"],
      frame_segment: Int[Array, "B T"],
      *,
      segments: int,
      train: bool,
  ) -> Encoded:
    """Encodes clips.

    Args:
      video: [B, T, H, W, 3] uint8 pixels, or [B, T, F] float features.
      frame_mask: [B, T], True = real.
      frame_time: [B, T] seconds.
      frame_segment: [B, T], 1..segments, 0 = in none.
      segments: N, segments a clip.
      train: whether dropout is on (rng "dropout").

    Raises:
      UserError: the frames are of another kind, width or size than the model's.
    """
    if not self.use_video:
      raise UserError("model.use_video: is False and a video is to be encoded: set it to True")
    states = self.video(video, frame_mask, frame_time, train=train)
    heads = (self.heads.video_global, self.heads.video_segment)
    encoded = _embed(states, frame_mask, frame_segment, segments, *heads, train=train)
    if not self.regresses:
      return encoded
    return dataclasses.replace(
        encoded, pretrained=self.heads.regressor(video, frame_mask, train=train)
    )

  def encode_text(
      self,
      text: Int[Array, "B L"],
      text_mask: Bool[Array, "B L"],
      text_segment: Int[Array, "B L"],
      text_states: Float[Array, "B L W"] | None = None,
      *,
      segments: int,
      train: bool,
  ) -> Encoded:
    """Encodes texts; arguments as those of `encode_video`, [B, L].

    Where a part of the text encoder is frozen, what comes out of it may be given as `text_states`.
    """
    states, mask = self.text(text, text_mask, text_states, train=train)
    heads = (self.heads.text_global, self.heads.text_segment)
    encoded = _embed(states, mask, text_segment, segments, *heads, train=train)
    if self.regresses:
      mean = pooling.mean(states.astype(jnp.float32), mask)
      target = jax.lax.stop_gradient(pooling.unit(mean, jnp.any(mask, axis=1)))
      encoded = dataclasses.replace(encoded, pretrained=target)
    if not self.reads_words:
      return encoded
    return dataclasses.replace(encoded, words=self.words(text, encoded.mask))

  def words(self, text: Int[Array, "B L"], mask: Bool[Array, "B L"]) -> Float[Array, "B W"]:
    """What fusion reads of texts beside their states: the mean of their tokens before any layer."""
    words: Float[Array, "B W"] = self.text.words(text, mask)
    return words

  @property
  def reads_words(self) -> bool:
    """Whether there is a fusion, and it reads the tokens of a text beside its states."""
    return bool(self.num_answers) and self.fusion_config.words

  @property
  def regresses(self) -> bool:
    """Whether the place of a clip's texts in the pretrained space is guessed too."""
    return self.use_video and self.video_config.regressor_hidden > 0

  def answer_logits(
      self, text: Encoded, video: Encoded | None, *, train: bool
  ) -> Float[Array, "B K"]:
    """Float32 logits over what the answer head puts out for texts about their row's clip.

    Of "answer": the classes (one of them: a score); of "ordinal": P(label > k), falling with k.
    """
    if not self.num_answers:
      raise UserError("model.num_answers: is 0 and answers are asked for: set it")
    if self.head == "span":
      raise UserError("model.head='span': has no answers: use 'answer' or 'ordinal'")
    if (video is not None) != self.use_video:
      raise UserError("model.use_video: does not fit the batch: give a video exactly if it is True")
    clip = (None, None) if video is None else (video.states, video.mask)
    words = {"words": text.words} if self.reads_words else {}
    fused, mask = self.fusion(text.states, text.mask, *clip, **words, train=train)
    return self.heads.answer(fused, mask, train=train)

  def span_logits(
      self, text: Encoded, video: Encoded, *, train: bool
  ) -> Float[Array, "B T 2"]:
    """Float32 logits of the frames at which what a text tells starts and ends."""
    if not self.num_answers or self.head != "span":
      raise UserError("model.head: spans are asked for and there is no head for them: use 'span'")
    fused, _ = self.fusion(video.states, video.mask, text.states, text.mask, train=train)
    return self.heads.span(fused, train=train)

  def window_embeddings(
      self, video: Encoded, members: Bool[Array, "B W T"], *, level: str
  ) -> Float[Array, "B W E"]:
    """What the frames of each window are in the shared space of a level: "global" or "segment".

    Unit length, float32; zeros for a window without a real frame. For evaluation: no dropout.
    """
    head = self.heads.video_global if level == "global" else self.heads.video_segment
    return head(video.states, members & video.mask[:, None], train=False)

  def scales(self) -> Scales:
    """The learned scales, clipped."""
    return self.learned_scales()

  def init_all(self, batch: Mapping[str, Shaped[Array, "B ..."]]) -> None:
    """Touches every parameter: `model.init(rng, batch)` makes them all.

    Args:
      batch: the fields `encode_video` and `encode_text` take by their names; texts [B, L] or
        [B, C, L].
    """
    captions = {key: batch[key] for key in TEXT}
    captions = {key: value.reshape(-1, value.shape[-1]) for key, value in captions.items()}
    text = self.encode_text(**captions, segments=1, train=False)
    video = None
    if self.use_video:
      keys = ("video", "frame_mask", "frame_time", "frame_segment")
      video = self.encode_video(**{key: batch[key] for key in keys}, segments=1, train=False)
    if self.num_answers:
      rows = None if video is None else video.mask.shape[0]
      first = jax.tree.map(lambda x: x[:rows], text)
      if self.head == "span":
        assert video is not None  # Else no such model is built.
        self.span_logits(first, video, train=False)
      else:
        self.answer_logits(first, video, train=False)
    self.scales()

  __call__ = init_all


def _embed(
    states: Float[Array, "B S D"],
    mask: Bool[Array, "B S"],
    segment: Int[Array, "B S"],
    segments: int,
    whole: pooling.AlignmentHead,
    part: pooling.AlignmentHead,
    *,
    train: bool,
) -> Encoded:
  members = pooling.segment_members(segment, mask, segments)
  return Encoded(
      states=states,
      mask=mask,
      global_embedding=whole(states, mask[:, None], train=train)[:, 0],
      segment_embedding=part(states, members, train=train),
      segment_mask=jnp.any(members, axis=-1),
  )
