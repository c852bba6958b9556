"""How well the segments of a video and of a text match when nobody said which belong together.

Each function takes the cosines of a block of pairs as `[N, M, P, Q]`: N video and M text segments,
P videos, Q texts. The few segments come first, so that reductions over them run over whole
vectors of pairs and no hardware pads a trailing axis of 4 to its lane width.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mla_jax.errors import check_choice
from mla_jax.losses import pairs

VARIANTS = ("max", "softmax", "sinkhorn", "mil_nce")
SINKHORN_ITERATIONS = 20

Cosines = Float[Array, "N M P Q"]
VideoReal = Bool[Array, "N 1 P 1"]
TextReal = Bool[Array, "1 M 1 Q"]
PairScores = Float[Array, "P Q"]


def pair_logits(
    video: Float[Array, "P N E"],
    text: Float[Array, "Q M E"],
    video_mask: Bool[Array, "P N"],
    text_mask: Bool[Array, "Q M"],
    *,
    variant: str,
    temperature: float,
    scale: Float[Array, ""],
) -> PairScores:
  """Logits of every video of a block against every text of a block.

  Args:
    video, text: float32 unit vectors, zeros where masked.
    video_mask, text_mask: real segments; a pair with an empty side gets a finite logit to ignore.
    variant: one of `VARIANTS`.
    temperature: of the soft attention ("softmax") or of the entropy ("sinkhorn"), > 0.
    scale: factor from a cosine to a logit.

  The block holds N x M x P x Q floats: callers bound memory by choosing P and Q.
  """
  check_choice("loss.segment_variant", variant, VARIANTS)
  cosines = jnp.einsum("pne,qme->nmpq", video, text, precision=jax.lax.Precision.HIGHEST)
  video_real = video_mask.T[:, None, :, None]
  text_real = text_mask.T[None, :, None, :]
  if variant == "mil_nce":
    return mil_nce_logits(cosines, video_real, text_real, scale)
  if variant == "max":
    return scale * max_score(cosines, video_real, text_real)
  score = softmax_score if variant == "softmax" else sinkhorn_score
  return scale * score(cosines, video_real, text_real, temperature)


def max_score(cosines: Cosines, video_real: VideoReal, text_real: TextReal) -> PairScores:
  """Late interaction: every segment takes its best partner (FILIP, Yao et al. 2022, eq. 3-5)."""
  of_text = jnp.max(jnp.where(video_real, cosines, pairs.MASKED), axis=0)
  of_video = jnp.max(jnp.where(text_real, cosines, pairs.MASKED), axis=1)
  return _both_ways(of_video, of_text, video_real, text_real)


def softmax_score(
    cosines: Cosines, video_real: VideoReal, text_real: TextReal, temperature: float
) -> PairScores:
  """Every segment attends softly to the other side (X-CLIP's AOSM, Ma et al. 2022, section 3.4)."""
  sharp = cosines / temperature
  to_video = jax.nn.softmax(jnp.where(video_real, sharp, pairs.MASKED), axis=0)
  to_text = jax.nn.softmax(jnp.where(text_real, sharp, pairs.MASKED), axis=1)
  of_text = jnp.sum(to_video * cosines, axis=0)
  of_video = jnp.sum(to_text * cosines, axis=1)
  return _both_ways(of_video, of_text, video_real, text_real)


def sinkhorn_score(
    cosines: Cosines, video_real: VideoReal, text_real: TextReal, temperature: float
) -> PairScores:
  """The mean cosine under the entropic transport plan between the two sides' real segments.

  Each side spreads a mass of 1 evenly over its real segments; `SINKHORN_ITERATIONS` rounds in the
  log domain (Cuturi 2013; Peyre and Cuturi 2019, section 4.4), differentiated through. Of 4 x 4
  cosines with a spread of 0.3, at a temperature of 0.1, they leave a text segment's mass 0.4 % off
  its share on average; sharper plans settle more slowly.
  """
  kernel = jnp.where(video_real & text_real, cosines / temperature, pairs.MASKED)
  log_video = _log_uniform(video_real, axis=0)
  log_text = _log_uniform(text_real, axis=1)

  # Only the potentials survive a round: the backward pass recomputes the rest.
  @jax.checkpoint
  def round_of(potential: jax.Array, _: None) -> tuple[jax.Array, None]:
    from_text = log_video - jax.nn.logsumexp(kernel + potential, axis=1, keepdims=True)
    from_text = jnp.where(video_real, from_text, 0.0)
    potential = log_text - jax.nn.logsumexp(kernel + from_text, axis=0, keepdims=True)
    return jnp.where(text_real, potential, 0.0), None

  start = jnp.zeros_like(cosines[:1])
  potential, _ = jax.lax.scan(round_of, start, None, length=SINKHORN_ITERATIONS)
  # A last half round makes the plan's mass exactly 1 whatever the convergence.
  log_plan = kernel + potential
  log_plan += log_video - jax.nn.logsumexp(log_plan, axis=1, keepdims=True)
  plan = jnp.where(video_real & text_real, jnp.exp(log_plan), 0.0)
  return jnp.sum(plan * cosines, axis=(0, 1))


def mil_nce_logits(
    cosines: Cosines, video_real: VideoReal, text_real: TextReal, scale: Float[Array, ""]
) -> PairScores:
  """The pair's segment pairs are one bag of candidates (MIL-NCE, Miech et al. 2020, eq. 1).

  The logit is the logsumexp over the bag, so that InfoNCE over pairs is -log(sum of the own bag /
  sum of all bags). The paper puts row and column in one denominator; here they are two losses, as
  in every other variant.
  """
  bag = jnp.where(video_real & text_real, scale * cosines, pairs.MASKED)
  return jax.nn.logsumexp(bag, axis=(0, 1))


def _both_ways(
    of_video: Float[Array, "N P Q"],
    of_text: Float[Array, "M P Q"],
    video_real: VideoReal,
    text_real: TextReal,
) -> PairScores:
  """Half the mean over real video segments plus half the mean over real text segments."""
  return 0.5 * (_mean_real(of_video, video_real[:, 0]) + _mean_real(of_text, text_real[0]))


def _mean_real(values: Float[Array, "S P Q"], real: Bool[Array, "S p q"]) -> PairScores:
  count = jnp.maximum(jnp.sum(real, axis=0), 1)
  return jnp.sum(jnp.where(real, values, 0.0), axis=0) / count


def _log_uniform(real: jax.Array, axis: int) -> jax.Array:
  return -jnp.log(jnp.maximum(jnp.sum(real, axis=axis, keepdims=True), 1).astype(jnp.float32))
