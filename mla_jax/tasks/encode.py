"""Encoding a batch's video and texts with the model, in one apply."""

from collections.abc import Callable
from typing import TypeVar, cast

import jax
import jax.numpy as jnp

from mla_jax.models.mla import MLA, Encoded
from mla_jax.tasks.base import Batch, Params

Result = TypeVar("Result")


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


def encode_text(
    model: MLA, batch: Batch, *, segments: int, train: bool, prefix: str = ""
) -> Encoded:
  """The texts of a batch, `[B * C, ...]`: the C texts of a video follow each other."""
  text = batch[f"{prefix}text"]
  length = text.shape[-1]
  return model.encode_text(
      text.reshape(-1, length),
      batch[f"{prefix}text_mask"].reshape(-1, length),
      batch[f"{prefix}text_segment"].reshape(-1, length),
      segments=segments,
      train=train,
  )


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
