"""The fine-grained score of every text with every video: how well their segments match."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
import numpy as np

from mla_jax import blocks
from mla_jax.errors import UserError
from mla_jax.losses import latent, pairs

_BLOCK_FLOATS = 16_000_000  # Cosines that exist at once: [N, M, videos, texts of a block].
_MOST_SCORES = 400_000_000  # 1.6 GB.

Scorer = Callable[..., Float[Array, "V q"]]


def scorer(variant: str, temperature: float) -> Scorer:
  """A compiled `(video, text, video_real, text_real, log_scale) -> [V, q]`, in units of a cosine.

  The score is the one `losses.segment.latent_alignment` trains, whichever variant; 0 where a side
  has no segment.
  """

  @jax.jit
  def score(
      video: Float[Array, "V N E"],
      text: Float[Array, "q M E"],
      video_real: Bool[Array, "V N"],
      text_real: Bool[Array, "q M"],
      log_scale: Float[Array, ""],
  ) -> Float[Array, "V q"]:
    scale = pairs.scale(log_scale)
    logits = latent.pair_logits(
        pairs.real_values(video, video_real),
        pairs.real_values(text, text_real),
        video_real,
        text_real,
        variant=variant,
        temperature=temperature,
        scale=scale,
    )
    known = jnp.any(video_real, axis=1)[:, None] & jnp.any(text_real, axis=1)
    return jnp.where(known, logits / scale, 0.0)  # The global score alone is left to decide.

  return score


def score_all(
    score: Scorer,
    text: Mapping[str, np.ndarray],
    video: Mapping[str, np.ndarray],
    log_scale: Float[Array, ""],
) -> Float[np.ndarray, "Q V"]:
  """Every text against every video, a block of texts at a time; 2 Q V N M E operations.

  Args:
    score: from `scorer`.
    text: "parts" `[Q, M, E]`, "real" `[Q, M]`.
    video: "parts" `[V, N, E]`, "real" `[V, N]`.
    log_scale: of the model's segment loss.

  Raises:
    UserError: more than 400 million scores.
  """
  queries, videos = len(text["parts"]), len(video["parts"])
  if queries * videos > _MOST_SCORES:
    raise UserError(
        f"eval.segment_score: {queries:,} texts x {videos:,} videos are too many scores to hold: "
        "set it to 0"
    )
  pair = video["parts"].shape[1] * text["parts"].shape[1]
  block = max(1, min(queries, _BLOCK_FLOATS // (pair * videos)))
  parts, real = jax.device_put((video["parts"], video["real"]))  # Once, and not for every block.
  found = np.empty((queries, videos), np.float32)
  for rows in blocks.equal_blocks(queries, block):
    scores = score(parts, text["parts"][rows], real, text["real"][rows], log_scale)
    found[rows] = np.asarray(scores).T
  return found
