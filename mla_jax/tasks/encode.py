"""Encoding a batch's video and texts with the model, in one apply."""

from collections.abc import Callable
from typing import TypeVar, cast

import jax
import jax.numpy as jnp

from mla_jax.models.mla import MLA, TEXT, Encoded
from mla_jax.tasks.base import Batch, Params

Result = TypeVar("Result")
_STATES = "text_states"  # Beside TEXT, where the frozen part of the encoder is cached.


def apply(
    model: MLA, params: Params, function: Callable[[MLA], Result], rng: jax.Array | None = None
) -> Result:
  """`function` of the model with its parameters; `rng` is the dropout's, None in evaluation."""
  rngs = {} if rng is None else {"dropout": rng}
  return cast(Result, model.apply({"params": params}, method=function, rngs=rngs))


def encode_video(model: MLA, batch: Batch, *, segments: int, train: bool) -> Encoded:
  """The videos of a batch, `[B, ...]`."""
  return model.encode_video(
      batch["video"],
      batch["frame_mask"],
      batch["frame_time"],
      batch["frame_segment"],
      segments=segments,
      train=train,
  )


def text_names(batch: Batch, prefix: str = "") -> tuple[str, ...]:
  """Of the fields that the text encoder reads, without the prefix."""
  return (*TEXT, _STATES) if f"{prefix}{_STATES}" in batch else TEXT


def flat_texts(batch: Batch, prefix: str = "") -> Batch:
  """The texts of a batch as rows, `[B * C, L]`: the C texts of a video follow each other."""
  length = batch[f"{prefix}text_mask"].shape[-1]
  fields = {name: batch[f"{prefix}{name}"] for name in text_names(batch, prefix)}
  texts = fields["text_mask"].ndim - 1
  return {
      name: field.reshape(-1, length, *field.shape[texts + 1 :]) for name, field in fields.items()
  }


def encode_text(model: MLA, batch: Batch, *, segments: int, train: bool) -> Encoded:
  """The texts of a batch, `[B * C, ...]`, in the order of `flat_texts`."""
  return model.encode_text(**flat_texts(batch), segments=segments, train=train)


def for_each_text(video: Encoded, texts: int) -> Encoded:
  """Repeats each of B videos for its texts: `[texts, ...]`."""
  times = texts // video.mask.shape[0]
  if times == 1:
    return video
  return Encoded(
      states=jnp.repeat(video.states, times, axis=0),
      mask=jnp.repeat(video.mask, times, axis=0),
      global_embedding=jnp.repeat(video.global_embedding, times, axis=0),
      segment_embedding=jnp.repeat(video.segment_embedding, times, axis=0),
      segment_mask=jnp.repeat(video.segment_mask, times, axis=0),
  )
