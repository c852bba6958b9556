"""Batches made by several processes, since the Python of one keeps no more than one core busy."""

from collections.abc import Callable, Generator
from concurrent.futures.process import BrokenProcessPool
import contextlib
import gc

import numpy as np

from mla_jax.data import process_pool, shared_blocks
from mla_jax.data.examples import Fields
from mla_jax.errors import UserError

Make = Callable[..., Fields]
_made_here: list[Make] = []  # In a worker: what it was started for.


@contextlib.contextmanager
def spread(make: Make, processes: int) -> Generator[Make, None, None]:
  """`make`, run by one of `processes` processes at each call; with 0 by the calling thread.

  It is pickled once for each process. The caller waits, in Python without its lock: several threads
  that call keep several processes busy.

  Raises:
    UserError: from the call: as `make` raised it, or because a process died.
  """
  if not processes:
    yield make
    return
  pool = process_pool.new_pool(processes, _start, make)
  idle: list[shared_blocks.Block] = []

  def fetch(*arguments: np.ndarray) -> Fields:
    block = _take(idle)
    try:
      packed = pool.submit(_make, block.key if block else None, *arguments).result()
    except BrokenProcessPool:
      raise UserError(
          f"data.workers={processes}: a process that makes rows died (see above; out of memory?): "
          "start again, with fewer"
      ) from None
    batch = shared_blocks.unpack(packed, block)
    block = block if packed.places else shared_blocks.new_block(packed.size)
    if block:
      idle.append(block)
    return batch

  try:
    yield fetch
  finally:
    pool.shutdown(wait=False, cancel_futures=True)


def _start(make: Make) -> None:
  # Rows have no cycles: looking for some took a sixth of the time of those read for the first time.
  gc.disable()
  _made_here.append(make)


def _take(idle: list[shared_blocks.Block]) -> shared_blocks.Block | None:
  try:
    return idle.pop()
  except IndexError:  # Not asked before: another thread may take the last one.
    return None


def _make(block: shared_blocks.Key | None, *arguments: np.ndarray) -> shared_blocks.Packed:
  return shared_blocks.pack(_made_here[0](*arguments), block)
