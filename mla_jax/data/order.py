"""Which unit stands where: a pure function of (seed, step), at any step in O(1)."""

import numpy as np
import tensorflow as tf


def units_at_step(
    step: tf.Tensor, *, seed: int, stream: int, rows: int, units: int
) -> tf.Tensor:
  """Units that fill `rows` rows of the global batch of a step, each epoch in a new order.

  Epoch after epoch is laid end to end and cut into steps, so every unit comes once an epoch
  whatever the batch. The order of an epoch is a keyed permutation (`index_shuffle`), not a
  buffer: no state, no memory, and resuming needs the step alone.

  Args:
    step: scalar int64.
    seed: of the run.
    stream: number of the source, so that two sources of one size are not in lock-step.
    rows: rows this source fills, at most `units`.
    units: how many there are.

  Returns:
    int64 `[rows]`, each in `[0, units)`; no unit twice within an epoch.
  """
  position = step * rows + tf.range(rows, dtype=tf.int64)
  epoch, slot = position // units, position % units
  first = epoch[0]
  # At most two epochs meet in one step, since rows <= units.
  now = _shuffled(slot, first, seed, stream, units)
  following = _shuffled(slot, first + 1, seed, stream, units)
  return tf.where(epoch == first, now, following)


def _shuffled(slot: tf.Tensor, epoch: tf.Tensor, seed: int, stream: int, units: int) -> tf.Tensor:
  # The op uses the low 16 bits of each of its three key words and no more (TensorFlow 2.21), so the
  # seed is hashed into two of them; the epoch is the third.
  words = np.random.SeedSequence((seed, stream)).generate_state(2).astype(np.int64) & 0xFFFF
  key = tf.stack([*(tf.constant(word, tf.int64) for word in words), epoch])
  return tf.raw_ops.RandomIndexShuffle(
      index=slot,
      seed=tf.cast(key & 0xFFFF, tf.uint32),
      max_index=tf.constant(units - 1, tf.int64),
      rounds=4,
  )
