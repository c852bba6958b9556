"""Which pairs of a batch attract, repel or are left out, and the InfoNCE loss over any such pairs.

Masks are written for a block of rows against a block of columns that know their places in the
global batch: the dense losses use one block, the whole batch, the ring losses many.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mla_jax.errors import check_choice
from mla_jax.losses.types import Block, LossOutput, Metrics, Side

DUPLICATES = ("positive", "mask")
MAX_LOG_SCALE = 4.605170185988092  # ln 100, CLIP's bound: above it training diverges.
# Finite, so that a row without any real column gives no NaN; its exponential is still exactly 0.
MASKED = -1e9


def real_values(
    embedding: Float[Array, "*shape E"], mask: Bool[Array, "*shape"]
) -> Float[Array, "*shape E"]:
  """Float32 embeddings, zeros where nothing is real: not even a NaN leaks from there."""
  return jnp.where(mask[..., None], embedding.astype(jnp.float32), 0.0)


def similarities(rows: Float[Array, "P E"], columns: Float[Array, "Q E"]) -> Float[Array, "P Q"]:
  """Inner products in full float32, also where the hardware would rather multiply in bfloat16."""
  return jnp.einsum("pe,qe->pq", rows, columns, precision=jax.lax.Precision.HIGHEST)


def scale(log_scale: Float[Array, ""]) -> Float[Array, ""]:
  """exp(log_scale), at most 100."""
  return jnp.exp(jnp.minimum(jnp.asarray(log_scale, jnp.float32), MAX_LOG_SCALE))


def captions_per_video(video_rows: int, text_rows: int) -> int:
  """How many rows of the text side belong to each row of the video side."""
  if text_rows % video_rows:
    raise ValueError(f"{text_rows} text rows are no multiple of {video_rows} video rows")
  return text_rows // video_rows


def whole_batch(video: Side, text: Side) -> tuple[Block, Block]:
  """Both sides as one block each: text row j belongs to video row j // (R / B)."""
  captions = captions_per_video(len(video.mask), len(text.mask))
  video_row = jnp.arange(len(video.mask))
  text_row = jnp.arange(len(text.mask)) // captions
  return _block(video, video_row), _block(text, text_row)


def _block(side: Side, row: Int[Array, " P"]) -> Block:
  return Block(real_values(side.embedding, side.mask), side.mask, side.key, row)


def pair_masks(
    video_row: Int[Array, " P"],
    text_row: Int[Array, " Q"],
    video_real: Bool[Array, " P"],
    text_real: Bool[Array, " Q"],
    video_key: Int[Array, " P"],
    text_key: Int[Array, " Q"],
    duplicates: str,
) -> tuple[Bool[Array, "P Q"], Bool[Array, "P Q"]]:
  """Which pairs are positives, and which take part at all.

  Args:
    video_row: the place of each video in the global batch.
    text_row: the place of the video each text belongs to.
    video_real, text_real: False leaves every pair of that row or column out.
    video_key, text_key: equal = the same video, whatever the rows.
    duplicates: what a pair of the same video from two rows is: "positive", or "mask" = left out.

  Returns:
    `(positive, keep)`; positives are kept, kept pairs that are not positive are negatives.
  """
  check_choice("loss.duplicates", duplicates, DUPLICATES)
  real = video_real[:, None] & text_real[None, :]
  own = video_row[:, None] == text_row[None, :]
  same = own | (video_key[:, None] == text_key[None, :])
  if duplicates == "positive":
    return real & same, real
  return real & own, real & (own | ~same)


def block_pair_masks(
    video: Block, text: Block, *, duplicates: str
) -> tuple[Bool[Array, "P Q"], Bool[Array, "P Q"]]:
  """`pair_masks` of two blocks of rows; a row of segments is real when one of them is."""
  video_real, text_real = (_real_rows(block.mask) for block in (video, text))
  return pair_masks(
      video.row, text.row, video_real, text_real, video.key, text.key, duplicates
  )


def _real_rows(mask: Bool[Array, "P ..."]) -> Bool[Array, " P"]:
  return jnp.any(mask.reshape(len(mask), -1), axis=1)


def mean_where(values: Float[Array, " P"], counts: Bool[Array, " P"]) -> Float[Array, ""]:
  """The exact mean over what counts, 0 when nothing does."""
  return jnp.sum(jnp.where(counts, values, 0.0)) / jnp.maximum(jnp.sum(counts), 1)


def one_way_infonce(
    logits: Float[Array, "P Q"], positive: Bool[Array, "P Q"], keep: Bool[Array, "P Q"]
) -> Float[Array, ""]:
  """Mean over the rows with a positive of logsumexp(kept logits) - mean(positive logits).

  With one positive this is InfoNCE (van den Oord et al. 2018, eq. 4), with several the outer form
  L_out of supervised contrastive learning (Khosla et al. 2020, eq. 2).
  """
  logits = jnp.where(keep, logits, MASKED)
  count = jnp.sum(positive, axis=1)
  attraction = jnp.sum(jnp.where(positive, logits, 0.0), axis=1) / jnp.maximum(count, 1)
  return mean_where(jax.nn.logsumexp(logits, axis=1) - attraction, count > 0)


def one_way_accuracy(
    logits: Float[Array, "P Q"], positive: Bool[Array, "P Q"], keep: Bool[Array, "P Q"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
  """(sum, weight): rows whose best kept column is a positive; equal bests share the point."""
  logits = jax.lax.stop_gradient(jnp.where(keep, logits, MASKED))
  best = keep & (logits >= jnp.max(logits, axis=1, keepdims=True))
  hits = jnp.sum(best & positive, axis=1) / jnp.maximum(jnp.sum(best, axis=1), 1)
  counts = jnp.any(positive, axis=1)
  return jnp.sum(jnp.where(counts, hits, 0.0)), jnp.sum(counts).astype(jnp.float32)


def accuracies(
    logits: Float[Array, "P Q"], positive: Bool[Array, "P Q"], keep: Bool[Array, "P Q"]
) -> Metrics:
  """The (sum, weight) accuracy of both directions within the batch, rows being the videos."""
  return {
      "video_to_text_accuracy": one_way_accuracy(logits, positive, keep),
      "text_to_video_accuracy": one_way_accuracy(logits.T, positive.T, keep.T),
  }


def symmetric_infonce(
    logits: Float[Array, "P Q"], positive: Bool[Array, "P Q"], keep: Bool[Array, "P Q"]
) -> LossOutput:
  """The mean of both directions of `one_way_infonce`, with their accuracies."""
  video_to_text = one_way_infonce(logits, positive, keep)
  text_to_video = one_way_infonce(logits.T, positive.T, keep.T)
  loss = 0.5 * (video_to_text + text_to_video)
  return LossOutput(loss=loss, metrics=accuracies(logits, positive, keep))


def pairwise_sigmoid(
    logits: Float[Array, "P Q"], positive: Bool[Array, "P Q"], keep: Bool[Array, "P Q"]
) -> LossOutput:
  """The sum over kept pairs of -log sigmoid(+-logit), by the number of columns that have any."""
  columns = jnp.sum(jnp.any(keep, axis=0))
  loss = jnp.sum(sigmoid_losses(logits, positive, keep)) / jnp.maximum(columns, 1)
  return LossOutput(loss=loss, metrics=accuracies(logits, positive, keep))


def sigmoid_losses(
    logits: Float[Array, "P Q"], positive: Bool[Array, "P Q"], keep: Bool[Array, "P Q"]
) -> Float[Array, "P Q"]:
  """-log sigmoid(logit) of a positive, -log sigmoid(-logit) of a negative, 0 of a pair left out."""
  return jnp.where(keep, -jax.nn.log_sigmoid(jnp.where(positive, logits, -logits)), 0.0)
