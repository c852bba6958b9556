"""What draws a guess to where a pretrained text encoder has the texts, whatever the batch holds."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from mla_jax.losses import pairs
from mla_jax.losses.types import LossOutput, Side


def regression(video: Side, target: Side) -> LossOutput:
  """One minus the cosine of what is guessed of a video and the targets of its texts.

  Half the squared distance, the alignment term of Wang & Isola (2020, arXiv 2005.10242), one-sided.
  A contrastive loss stops to pull where no negative is close any more, which in a set that is seen
  often is soon. This goes on to the mean of a video's targets, as ridge regression onto sentence
  vectors does. The targets must be given: learned ones would all meet in one point.

  Args:
    video: `[B, E]` unit embeddings and their mask.
    target: `[B * C, E]`, likewise of texts; row j belongs to video row j // C.

  Returns:
    The mean over texts with a video, in [0, 2]; 0 when there is none. No metrics.
  """
  captions = target.embedding.shape[0] // video.embedding.shape[0]
  own = jnp.repeat(video.embedding.astype(jnp.float32), captions, axis=0)
  real = target.mask & jnp.repeat(video.mask, captions)
  apart: Float[Array, " T"] = 1.0 - jnp.sum(own * target.embedding.astype(jnp.float32), axis=-1)
  return LossOutput(pairs.mean_where(apart, real), {})
