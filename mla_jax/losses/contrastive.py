"""Global alignment: a whole video and its whole text, against every other of the global batch."""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from mla_jax.losses import pairs
from mla_jax.losses.types import LossOutput, Side


def softmax_alignment(
    video: Side,
    text: Side,
    *,
    log_scale: Float[Array, ""],
    bias: Float[Array, ""],
    duplicates: str,
    impl: str = "dense",
    mesh: Mesh | None = None,
) -> LossOutput:
  """Symmetric InfoNCE over the global batch (CLIP, Radford et al. 2021, figure 3).

  Args:
    video: `[B, E]` unit embeddings, their mask and keys.
    text: `[B * C, E]`; row j belongs to video row j // C.
    log_scale: logits are exp(log_scale) * cosine, the factor at most 100.
    bias: taken for the signature's sake alone, for it cancels in a softmax.
    duplicates: a text of the same video in another row is "positive", or left out: "mask".
    impl: "dense": global arrays, XLA gathers.
    mesh: unused by "dense".

  Returns:
    The mean over videos with a text of logsumexp(logits) - mean(positive logits), the same over
    texts with a video, averaged; >= 0, 0 when there is no pair. With k positives it is at least
    ln k. Metrics: the accuracy of both directions.

  Raises:
    UserError: an unknown `duplicates` or `impl`.
  """
  del bias
  pairs.check_implementation(impl, mesh)
  positive, keep = pairs.batch_pair_masks(
      video.mask, text.mask, video.key, text.key, duplicates
  )
  logits = pairs.scale(log_scale) * _cosines(video, text)
  return pairs.symmetric_infonce(logits, positive, keep)


def sigmoid_alignment(
    video: Side,
    text: Side,
    *,
    log_scale: Float[Array, ""],
    bias: Float[Array, ""],
    duplicates: str,
    impl: str = "dense",
    mesh: Mesh | None = None,
) -> LossOutput:
  """Pairwise log-sigmoid over the global batch (SigLIP, Zhai et al. 2023, algorithm 1).

  Args:
    video: `[B, E]` unit embeddings, their mask and keys.
    text: `[B * C, E]`; row j belongs to video row j // C.
    log_scale: logits are exp(log_scale) * cosine + bias, the factor at most 100.
    bias: added to every logit; starts near -10, since most pairs are negatives.
    duplicates: a text of the same video in another row is "positive", or left out: "mask".
    impl: "dense": global arrays, XLA gathers.
    mesh: unused by "dense".

  Returns:
    The sum over pairs of -log sigmoid(+-logit), divided by the number of texts (the paper's batch
    size; C captions thus weigh like C examples); >= 0, 0 when there is no pair. Metrics: the
    accuracy of both directions.

  Raises:
    UserError: an unknown `duplicates` or `impl`.
  """
  pairs.check_implementation(impl, mesh)
  positive, keep = pairs.batch_pair_masks(
      video.mask, text.mask, video.key, text.key, duplicates
  )
  logits = pairs.scale(log_scale) * _cosines(video, text) + jnp.asarray(bias, jnp.float32)
  pair_loss = -jax.nn.log_sigmoid(jnp.where(positive, logits, -logits))
  texts = jnp.sum(jnp.any(keep, axis=0))
  loss = jnp.sum(jnp.where(keep, pair_loss, 0.0)) / jnp.maximum(texts, 1)
  return LossOutput(loss=loss, metrics=pairs.accuracies(logits, positive, keep))


def _cosines(video: Side, text: Side) -> Float[Array, "B R"]:
  return pairs.similarities(
      pairs.real_values(video.embedding, video.mask), pairs.real_values(text.embedding, text.mask)
  )
