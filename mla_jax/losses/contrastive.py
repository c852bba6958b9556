"""Global alignment: a whole video and its whole text, against every other of the global batch."""

import functools

import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from mla_jax.losses import pairs, ring
from mla_jax.losses.implementations import over_batch
from mla_jax.losses.running import InfoNCE, Sigmoid
from mla_jax.losses.types import Block, LossOutput, Scalars, Scoring, Side


def softmax_alignment(
    video: Side,
    text: Side,
    *,
    log_scale: Float[Array, ""],
    bias: Float[Array, ""],
    duplicates: str,
    impl: str = "dense",
    mesh: Mesh | None = None,
    block: int = ring.BLOCK,
) -> LossOutput:
  """Symmetric InfoNCE over the global batch (CLIP, Radford et al. 2021, figure 3).

  Args:
    video: `[B, E]` unit embeddings, their mask and keys.
    text: `[B * C, E]`; row j belongs to video row j // C.
    log_scale: logits are exp(log_scale) * cosine, the factor at most 100.
    bias: taken for the signature's sake alone, for it cancels in a softmax.
    duplicates: a text of the same video in another row is "positive", or left out: "mask".
    impl: "dense": global arrays, XLA gathers; "ring": see ring.py.
    mesh: of the ring's devices; unused by "dense".
    block: logits a device of the ring holds at a time; unused by "dense".

  Returns:
    The mean over videos with a text of logsumexp(logits) - mean(positive logits), the same over
    texts with a video, averaged; >= 0, 0 when there is no pair. With k positives it is at least
    ln k. Metrics: the accuracy of both directions.

  Raises:
    UserError: an unknown `duplicates` or `impl`, or a batch that does not divide over the ring.
  """
  del bias
  return over_batch(
      InfoNCE(),
      _scoring(duplicates),
      {"log_scale": log_scale},
      *pairs.whole_batch(video, text),
      impl=impl,
      mesh=mesh,
      block=block,
  )


def sigmoid_alignment(
    video: Side,
    text: Side,
    *,
    log_scale: Float[Array, ""],
    bias: Float[Array, ""],
    duplicates: str,
    impl: str = "dense",
    mesh: Mesh | None = None,
    block: int = ring.BLOCK,
) -> LossOutput:
  """Pairwise log-sigmoid over the global batch (SigLIP, Zhai et al. 2023, algorithm 1).

  Args:
    video: `[B, E]` unit embeddings, their mask and keys.
    text: `[B * C, E]`; row j belongs to video row j // C.
    log_scale: logits are exp(log_scale) * cosine + bias, the factor at most 100.
    bias: added to every logit; starts near -10, since most pairs are negatives.
    duplicates: a text of the same video in another row is "positive", or left out: "mask".
    impl: "dense": global arrays, XLA gathers; "ring": see ring.py.
    mesh: of the ring's devices; unused by "dense".
    block: logits a device of the ring holds at a time; unused by "dense".

  Returns:
    The sum over pairs of -log sigmoid(+-logit), divided by the number of texts (the paper's batch
    size; C captions thus weigh like C examples); >= 0, 0 when there is no pair. Metrics: the
    accuracy of both directions.

  Raises:
    UserError: an unknown `duplicates` or `impl`, or a batch that does not divide over the ring.
  """
  return over_batch(
      Sigmoid(),
      _scoring(duplicates),
      {"log_scale": log_scale, "bias": bias},
      *pairs.whole_batch(video, text),
      impl=impl,
      mesh=mesh,
      block=block,
  )


def _scoring(duplicates: str) -> Scoring:
  return Scoring(_logits, functools.partial(pairs.block_pair_masks, duplicates=duplicates))


def _logits(scalars: Scalars, video: Block, text: Block) -> Float[Array, "P Q"]:
  logits = pairs.scale(scalars["log_scale"]) * pairs.similarities(video.embedding, text.embedding)
  return logits + jnp.asarray(scalars["bias"], jnp.float32) if "bias" in scalars else logits
