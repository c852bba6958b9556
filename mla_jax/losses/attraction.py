"""What draws a video to its own texts, whatever else is in the batch."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mla_jax.losses.types import LossOutput, Side


def attraction(video: Side, text: Side) -> LossOutput:
  """One minus the cosine of a text and its video: half the alignment term of Wang & Isola (2020).

  A contrastive loss stops to pull where no negative is close any more, which in a set that is seen
  often is soon; this term goes on to where the mean of a video's texts is.

  Args:
    video: `[B, E]` unit embeddings and their mask.
    text: `[B * C, E]`; row j belongs to video row j // C.

  Returns:
    The mean over texts with a video, in [0, 2]; 0 when there is none. No metrics.
  """
  captions = text.embedding.shape[0] // video.embedding.shape[0]
  own = jnp.repeat(video.embedding.astype(jnp.float32), captions, axis=0)
  real = text.mask & jnp.repeat(video.mask, captions)
  apart: Float[Array, " T"] = 1.0 - jnp.sum(own * text.embedding.astype(jnp.float32), axis=-1)
  return LossOutput(jnp.sum(jnp.where(real, apart, 0.0)) / jnp.maximum(jnp.sum(real), 1), {})
