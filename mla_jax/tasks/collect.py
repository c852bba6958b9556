"""Runs a function over evaluation batches and puts the results of real examples in order."""

from collections.abc import Callable, Iterator
import functools
from typing import Any

import jax
import numpy as np

from mla_jax import processes, sharding, watchdog
from mla_jax.data.examples import Fields
from mla_jax.evals import audit


def collect(
    function: Callable[[Any, dict[str, jax.Array]], Any],
    params: Any,
    batches: Iterator[Fields],
    mesh: jax.sharding.Mesh,
    count: int,
) -> Any:
  """Applies `function(params, batch)` to every batch; the outputs' rows in order of `example_id`.

  Args:
    function: jitted; every output leaf has the batch as its first axis.
    params: its first argument.
    batches: this process's rows, with `mask` (False on padding) and `example_id` in [0, count).
    mesh: the batch is sharded over it.
    count: how many examples there are.

  Returns:
    The outputs, host arrays `[count, ...]`, the same in every process.

  Raises:
    UserError: the examples seen are not exactly the `count` of the split.
  """
  ids, outputs = [], []
  for number, batch in enumerate(batches):
    watchdog.progress(f"batch {number}")
    placed = sharding.to_global(batch, mesh)
    marks = (placed["mask"], placed["example_id"])
    (real, places), output = processes.gather((marks, function(params, placed)), mesh)
    ids.append(places[real])
    outputs.append(jax.tree.map(functools.partial(_rows, keep=real), output))
  seen = np.concatenate(ids) if ids else np.zeros(0, np.int32)
  audit.check_ids(seen, count)
  order = np.argsort(seen)
  return jax.tree.map(lambda *leaves: np.concatenate(leaves)[order], *outputs)


def _rows(leaf: np.ndarray, keep: np.ndarray) -> np.ndarray:
  return leaf[keep]
