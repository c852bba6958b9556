"""The losses over pairs as running statistics: what to keep while blocks of logits pass by.

A device that holds some rows meets the columns of the batch one block after the other, and never
has all logits of a row at once. This page says what a block tells of its rows and columns (`see`),
how that of many blocks is put together (`join_rows`, `join_columns`), what loss it makes in the
end (`finish`), and how the gradient of any block's logits follows from it in closed form
(`logit_gradient`), so that the backward pass can compute logits again instead of keeping them. It
knows nothing of devices: ring.py moves the blocks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mla_jax.losses import pairs
from mla_jax.losses.types import LossOutput, Metrics

State = Any  # A pytree of arrays [P]: what a loss keeps of each row (or column).
Logits = Float[Array, "P Q"]
Mask = Bool[Array, "P Q"]
# Adds up an array over all its rows, those on other devices included.
Total = Callable[[jax.Array], jax.Array]


class Finished(NamedTuple):
  """The loss, and what its backward pass needs of every row and column."""

  output: LossOutput
  rows: State
  columns: State


class PairLoss(Protocol):
  """A loss over pairs, at once and in passing."""

  def dense(self, logits: Logits, positive: Mask, keep: Mask) -> LossOutput:
    """The loss of all pairs of the batch at once."""

  def nothing(self, rows: int, columns: int) -> tuple[State, State]:
    """What is known of rows and columns before any of their pairs was seen."""

  def see(self, logits: Logits, positive: Mask, keep: Mask) -> tuple[State, State]:
    """What a block of pairs says of its rows and of its columns."""

  def join_rows(self, one: State, other: State) -> State:
    """What two blocks say together of rows they share."""

  def join_columns(self, one: State, other: State) -> State:
    """What two blocks say together of columns they share."""

  def finish(self, rows: State, columns: State, total: Total) -> Finished:
    """The loss, once every pair of the batch was seen."""

  def logit_gradient(
      self, rows: State, columns: State, logits: Logits, positive: Mask, keep: Mask
  ) -> Logits:
    """The derivative of the loss by the logits of a block, from what `finish` left."""


class Ranking(NamedTuple):
  """What the accuracy of a row needs: see `pairs.one_way_accuracy`."""

  best: Float[Array, " P"]  # The largest kept logit so far.
  ties: Int[Array, " P"]  # Kept logits equal to it,
  hits: Int[Array, " P"]  # and how many of them are positives.
  positives: Int[Array, " P"]  # All positives so far.


def no_ranking(rows: int) -> Ranking:
  zero = jnp.zeros(rows, jnp.int32)
  return Ranking(jnp.full(rows, pairs.MASKED), zero, zero, zero)


def ranking(logits: Logits, positive: Mask, keep: Mask, axis: int) -> Ranking:
  """Of a block's rows (axis 1) or columns (axis 0)."""
  logits = jnp.where(keep, logits, pairs.MASKED)
  best = jnp.max(logits, axis=axis)
  tied = keep & (logits >= jnp.expand_dims(best, axis))
  return Ranking(
      best,
      ties=jnp.sum(tied, axis=axis),
      hits=jnp.sum(tied & positive, axis=axis),
      positives=jnp.sum(positive, axis=axis),
  )


def join_rankings(one: Ranking, other: Ranking) -> Ranking:
  best = jnp.maximum(one.best, other.best)
  of_one, of_other = one.best == best, other.best == best
  return Ranking(
      best,
      ties=one.ties * of_one + other.ties * of_other,
      hits=one.hits * of_one + other.hits * of_other,
      positives=one.positives + other.positives,
  )


def accuracies(rows: Ranking, columns: Ranking, total: Total) -> Metrics:
  """`pairs.accuracies` of rankings that have seen every pair."""

  def accuracy(ranking: Ranking) -> tuple[jax.Array, jax.Array]:
    anchors = ranking.positives > 0
    share = ranking.hits / jnp.maximum(ranking.ties, 1)
    return total(jnp.where(anchors, share, 0.0)), total(anchors.astype(jnp.float32))

  return {"video_to_text_accuracy": accuracy(rows), "text_to_video_accuracy": accuracy(columns)}


class Anchors(NamedTuple):
  """What InfoNCE keeps of its rows, each the anchor of one softmax (and so of its columns)."""

  ranking: Ranking
  partition: Float[Array, " P"]  # The sum of exp(logit - ranking.best) over kept pairs.
  attraction: Float[Array, " P"]  # The sum of the positive logits.


class AnchorGradients(NamedTuple):
  """What an anchor's part of the loss, weight * (logsumexp - mean(positives)), leaves behind."""

  logsumexp: Float[Array, " P"]
  weight: Float[Array, " P"]  # Half of 1 / the number of anchors; 0 without a positive.
  pull: Float[Array, " P"]  # The weight of each single positive.


class InfoNCE:
  """`pairs.symmetric_infonce`."""

  def dense(self, logits: Logits, positive: Mask, keep: Mask) -> LossOutput:
    return pairs.symmetric_infonce(logits, positive, keep)

  def nothing(self, rows: int, columns: int) -> tuple[Anchors, Anchors]:
    def anchors(count: int) -> Anchors:
      return Anchors(no_ranking(count), jnp.zeros(count), jnp.zeros(count))

    return anchors(rows), anchors(columns)

  def see(self, logits: Logits, positive: Mask, keep: Mask) -> tuple[Anchors, Anchors]:
    rows, columns = (_anchors(logits, positive, keep, axis=axis) for axis in (1, 0))
    return rows, columns

  def join_rows(self, one: Anchors, other: Anchors) -> Anchors:
    return _join_anchors(one, other)

  def join_columns(self, one: Anchors, other: Anchors) -> Anchors:
    return _join_anchors(one, other)

  def finish(self, rows: Anchors, columns: Anchors, total: Total) -> Finished:
    row_loss, of_rows = _one_way(rows, total)
    column_loss, of_columns = _one_way(columns, total)
    metrics = accuracies(rows.ranking, columns.ranking, total)
    return Finished(LossOutput(0.5 * (row_loss + column_loss), metrics), of_rows, of_columns)

  def logit_gradient(
      self,
      rows: AnchorGradients,
      columns: AnchorGradients,
      logits: Logits,
      positive: Mask,
      keep: Mask,
  ) -> Logits:
    row_softmax = jnp.exp(logits - rows.logsumexp[:, None])
    column_softmax = jnp.exp(logits - columns.logsumexp)
    push = rows.weight[:, None] * row_softmax + columns.weight * column_softmax
    pull = rows.pull[:, None] + columns.pull
    return jnp.where(keep, push, 0.0) - jnp.where(positive, pull, 0.0)


def _anchors(logits: Logits, positive: Mask, keep: Mask, axis: int) -> Anchors:
  seen = ranking(logits, positive, keep, axis)
  above = jnp.exp(logits - jnp.expand_dims(seen.best, axis))
  return Anchors(
      seen,
      partition=jnp.sum(jnp.where(keep, above, 0.0), axis=axis),
      attraction=jnp.sum(jnp.where(positive, logits, 0.0), axis=axis),
  )


def _join_anchors(one: Anchors, other: Anchors) -> Anchors:
  ranking = join_rankings(one.ranking, other.ranking)
  of_one, of_other = (
      x.partition * jnp.exp(x.ranking.best - ranking.best) for x in (one, other)
  )
  return Anchors(ranking, of_one + of_other, one.attraction + other.attraction)


def _one_way(anchors: Anchors, total: Total) -> tuple[Float[Array, ""], AnchorGradients]:
  """`pairs.one_way_infonce` of what was kept, and the gradients' part of it."""
  positives = anchors.ranking.positives
  # The best logit alone adds 1 to the partition; it is 0 only where nothing at all was kept.
  logsumexp = anchors.ranking.best + jnp.log(jnp.maximum(anchors.partition, 1.0))
  mean_positive = anchors.attraction / jnp.maximum(positives, 1)
  counts = positives > 0
  number = jnp.maximum(total(counts.astype(jnp.float32)), 1.0)
  loss = total(jnp.where(counts, logsumexp - mean_positive, 0.0)) / number
  weight = jnp.where(counts, 0.5 / number, 0.0)
  return loss, AnchorGradients(logsumexp, weight, weight / jnp.maximum(positives, 1))


class SigmoidRows(NamedTuple):
  """What the sigmoid loss keeps of its rows."""

  ranking: Ranking
  loss: Float[Array, " P"]  # The sum over kept pairs of the row.


class Sigmoid:
  """`pairs.pairwise_sigmoid`: a sum over pairs, of which only the number of texts must be known."""

  def dense(self, logits: Logits, positive: Mask, keep: Mask) -> LossOutput:
    return pairs.pairwise_sigmoid(logits, positive, keep)

  def nothing(self, rows: int, columns: int) -> tuple[SigmoidRows, Ranking]:
    return SigmoidRows(no_ranking(rows), jnp.zeros(rows)), no_ranking(columns)

  def see(self, logits: Logits, positive: Mask, keep: Mask) -> tuple[SigmoidRows, Ranking]:
    loss = jnp.sum(pairs.sigmoid_losses(logits, positive, keep), axis=1)
    rows, columns = (ranking(logits, positive, keep, axis=axis) for axis in (1, 0))
    return SigmoidRows(rows, loss), columns

  def join_rows(self, one: SigmoidRows, other: SigmoidRows) -> SigmoidRows:
    return SigmoidRows(join_rankings(one.ranking, other.ranking), one.loss + other.loss)

  def join_columns(self, one: Ranking, other: Ranking) -> Ranking:
    return join_rankings(one, other)

  def finish(self, rows: SigmoidRows, columns: Ranking, total: Total) -> Finished:
    texts = total((columns.ties > 0).astype(jnp.float32))  # Any kept pair ties with the best.
    weight = 1.0 / jnp.maximum(texts, 1.0)
    output = LossOutput(total(rows.loss) * weight, accuracies(rows.ranking, columns, total))
    return Finished(output, (), jnp.full(len(columns.ties), weight))

  def logit_gradient(
      self, rows: tuple[()], columns: Float[Array, " Q"], logits: Logits, positive: Mask, keep: Mask
  ) -> Logits:
    del rows
    gradient = jnp.where(positive, -jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits))
    return jnp.where(keep, columns * gradient, 0.0)
