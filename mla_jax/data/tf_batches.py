"""Rows that Python looks up, as batches of a tf.data pipeline that works in the background."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from mla_jax.data.examples import Fields
from mla_jax.errors import UserError

_PREFETCH = 2


def batches(
    dataset: tf.data.Dataset,
    fetch: Callable[..., Fields],
    finish: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]] | None,
    batch: int,
    *,
    parallel: int = 2,
) -> Iterator[Fields]:
  """Runs `fetch` in Python per batch and `finish` per row in the graph, both in parallel.

  Args:
    dataset: tuples, one a batch: the arguments of `fetch`.
    fetch: the fields `[batch, ...]` of a batch; all batches have the same, of the same types and
      shapes.
    finish: what a row becomes, e.g. its media decoded and cropped; None: it is finished.
    batch: rows of a batch.
    parallel: calls of `fetch` at a time.

  Raises:
    UserError: from the iterator, as `fetch` raised it.
  """
  names, signature = _signature(fetch, dataset)
  failures: list[UserError] = []

  def lookup(*arguments: tf.Tensor) -> dict[str, tf.Tensor]:
    def stacked(*values: np.ndarray) -> list[np.ndarray]:
      try:
        fields = fetch(*values)
      except UserError as error:
        failures.append(error)
        raise
      return [fields[name] for name in names]

    columns = tf.numpy_function(stacked, arguments, [spec.dtype for spec in signature])
    for column, spec in zip(columns, signature, strict=True):
      column.set_shape((batch, *spec.shape))
    return dict(zip(names, columns, strict=True))

  dataset = dataset.map(lookup, num_parallel_calls=parallel)
  if finish is not None:
    dataset = dataset.unbatch().map(finish, num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(batch, drop_remainder=True)
  return _with_own_errors(dataset.prefetch(_PREFETCH).as_numpy_iterator(), failures)


def _with_own_errors(rows: Iterator[Fields], failures: list[UserError]) -> Iterator[Fields]:
  """Raises what `fetch` raised instead of what tf.data makes of it, a page of text."""
  try:
    yield from rows
  except tf.errors.OpError:
    if failures:
      raise failures[0] from None
    raise


def _signature(
    fetch: Callable[..., Fields], dataset: tf.data.Dataset
) -> tuple[list[str], list[tf.TensorSpec]]:
  """Names, types and shapes of one row, from a batch itself: there is no second list to keep."""
  batch = fetch(*next(iter(dataset.take(1).as_numpy_iterator())))
  names = sorted(batch)
  kinds = [tf.string if batch[name].dtype == object else batch[name].dtype for name in names]
  return names, [
      tf.TensorSpec(batch[name].shape[1:], kind) for name, kind in zip(names, kinds, strict=True)
  ]
