"""Segment alignment: stretches of a video and phrases of its text, with or without known times."""

import dataclasses
import functools

import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float

from mla_jax.errors import UserError
from mla_jax.losses import latent, pairs, ring
from mla_jax.losses.implementations import over_batch
from mla_jax.losses.running import InfoNCE
from mla_jax.losses.types import Block, LossOutput, Scalars, Scoring, Side


def timed_alignment(
    video: Side,
    text: Side,
    *,
    overlap: Float[Array, "R N M"],
    log_scale: Float[Array, ""],
    upper: float,
    lower: float,
    impl: str = "dense",
    mesh: Mesh | None = None,
    block: int = ring.BLOCK,
) -> LossOutput:
  """InfoNCE over all segments of the global batch, with positives from annotated times.

  Of a text segment and a segment of its own row's video, an overlap >= `upper` is a positive, one
  in [lower, upper) or unknown (-1) is left out, and one below `lower` is a negative. Segments of
  the same video in another row are left out, since nobody knows their overlap. All other segments
  of the batch are negatives, those of texts without times included.

  A segment that reaches `upper` with no partner is nobody's anchor (a lower bar would teach that
  a stretch of video is the text when most of it is not); it stays a negative of others. The
  metric "segments_with_positive" tells how often that happens: raise the number of video segments
  or lower `upper` when it is small.

  Args:
    video: `[B, N, E]` unit embeddings, mask `[B, N]`, keys `[B]`.
    text: `[R, M, E]`, R = B * C; row j belongs to video row j // C.
    overlap: temporal IoU in [0, 1] of row j's video and text segments; -1 = unknown.
    log_scale: logits are exp(log_scale) * cosine, the factor at most 100.
    upper, lower: 0 <= lower <= upper <= 1, upper > 0.
    impl: "dense": global arrays, XLA gathers; "ring": see ring.py.
    mesh: of the ring's devices; unused by "dense".
    block: logits a device of the ring holds at a time; unused by "dense".

  Returns:
    The mean over video segments with a positive of logsumexp(kept logits) - mean(positive
    logits), the same over text segments, averaged; >= 0, 0 when no segment has a positive.
    Metrics: the accuracy of both directions, and "segments_with_positive" among the text segments
    whose times are known.

  Raises:
    UserError: thresholds out of order, or an unknown `impl`.
  """
  videos, texts = pairs.whole_batch(video, text)
  check_thresholds(upper, lower)
  _check_overlap(video, text, overlap)
  output = over_batch(
      InfoNCE(),
      Scoring(_segment_logits, functools.partial(_segment_masks, upper=upper, lower=lower)),
      {"log_scale": log_scale},
      videos,
      dataclasses.replace(texts, overlap=overlap),
      impl=impl,
      mesh=mesh,
      block=block,
  )
  _, supervised = output.metrics["text_to_video_accuracy"]
  timed = jnp.sum(_timed_texts(video.mask, text.mask, overlap)).astype(jnp.float32)
  metrics = output.metrics | {"segments_with_positive": (supervised, timed)}
  return LossOutput(loss=output.loss, metrics=metrics)


def latent_alignment(
    video: Side,
    text: Side,
    *,
    variant: str,
    temperature: float,
    log_scale: Float[Array, ""],
    duplicates: str,
    impl: str = "dense",
    mesh: Mesh | None = None,
    block: int = ring.BLOCK,
) -> LossOutput:
  """InfoNCE over videos and texts whose score comes from their segments, no times needed.

  Args:
    video: `[B, N, E]` unit embeddings, mask `[B, N]`, keys `[B]`.
    text: `[R, M, E]`, R = B * C; row j belongs to video row j // C.
    variant: how segments find each other, one of `latent.VARIANTS` (formulas there).
    temperature: of the attention ("softmax") or the plan's entropy ("sinkhorn"), > 0.
    log_scale: logits are exp(log_scale) * score, the factor at most 100; inside the bag's
      logsumexp for "mil_nce".
    duplicates: a text of the same video in another row is "positive", or left out: "mask".
    impl: "dense": global arrays, XLA gathers, and holds B x R x N x M floats; "ring": see ring.py.
    mesh: of the ring's devices; unused by "dense".
    block: cosines a device of the ring holds at a time; unused by "dense".

  Returns:
    The loss over pair scores `[B, R]` as in `contrastive.softmax_alignment`; a row without a real
    segment takes no part. Metrics: the accuracy of both directions.

  Raises:
    UserError: an unknown `variant`, `duplicates` or `impl`, or a temperature that is not positive.
  """
  _check_temperature(temperature)
  scoring = Scoring(
      functools.partial(_latent_logits, variant=variant, temperature=temperature),
      functools.partial(pairs.block_pair_masks, duplicates=duplicates),
  )
  return over_batch(
      InfoNCE(),
      scoring,
      {"log_scale": log_scale},
      *pairs.whole_batch(video, text),
      impl=impl,
      mesh=mesh,
      block=block,
  )


def _check_temperature(temperature: float) -> None:
  """Raises UserError unless it is above 0."""
  if not temperature > 0:
    raise UserError(f"segment_temperature={temperature}: choose a number above 0, e.g. 0.1")


def check_thresholds(upper: float, lower: float) -> None:
  """Raises UserError unless every overlap is a positive, a negative or in between."""
  if not 0 <= lower <= upper <= 1 or upper == 0:
    raise UserError(
        f"overlap thresholds upper={upper}, lower={lower} (overlap_upper, overlap_lower): "
        "choose 0 <= lower <= upper <= 1 with upper above 0"
    )


def _check_overlap(video: Side, text: Side, overlap: Float[Array, "R N M"]) -> None:
  if overlap.shape != (*text.mask.shape[:1], video.mask.shape[1], text.mask.shape[1]):
    raise ValueError(
        f"overlap {overlap.shape} for videos {video.mask.shape} and texts {text.mask.shape}: "
        "one [N, M] a text row is needed"
    )


def _latent_logits(
    scalars: Scalars, video: Block, text: Block, *, variant: str, temperature: float
) -> Float[Array, "P Q"]:
  return latent.pair_logits(
      video.embedding,
      text.embedding,
      video.mask,
      text.mask,
      variant=variant,
      temperature=temperature,
      scale=pairs.scale(scalars["log_scale"]),
  )


def _segment_logits(scalars: Scalars, video: Block, text: Block) -> Float[Array, "PN QM"]:
  """Of every video segment against every text segment of two blocks."""
  cosines = pairs.similarities(_flat(video.embedding), _flat(text.embedding))
  return pairs.scale(scalars["log_scale"]) * cosines


def _segment_masks(
    video: Block, text: Block, *, upper: float, lower: float
) -> tuple[Bool[Array, "PN QM"], Bool[Array, "PN QM"]]:
  """`(positive, keep)` of every video segment against every text segment of two blocks."""
  assert text.overlap is not None
  own = video.row[:, None, None, None] == text.row[None, None, :, None]
  same_video = video.key[:, None, None, None] == text.key[None, None, :, None]
  # [1, N, Q, M]: the overlaps of a text with the segments of its own video.
  overlap = jnp.swapaxes(text.overlap, 0, 1)[None]
  reached = overlap >= upper
  decided = reached | ((overlap >= 0) & (overlap < lower))
  real = video.mask[:, :, None, None] & text.mask[None, None, :, :]
  positive = real & own & reached
  keep = real & jnp.where(own, decided, ~same_video)
  shape = (video.mask.size, text.mask.size)
  return positive.reshape(shape), keep.reshape(shape)


def _timed_texts(
    video_mask: Bool[Array, "B N"], text_mask: Bool[Array, "R M"], overlap: Float[Array, "R N M"]
) -> Bool[Array, "R M"]:
  """Text segments whose overlap with some real segment of their own video is known."""
  own_video = jnp.repeat(video_mask, len(text_mask) // len(video_mask), axis=0)
  return text_mask & jnp.any((overlap >= 0) & own_video[:, :, None], axis=1)


def _flat(embedding: Float[Array, "B N E"]) -> Float[Array, "BN E"]:
  return embedding.reshape(-1, embedding.shape[-1])
