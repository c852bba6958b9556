"""Worker processes that leave signals to their parent and end when it does, however it ends."""

from collections.abc import Callable
import concurrent.futures
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from typing import Any


def new_pool(
    processes: int, start: Callable[..., None] | None = None, *arguments: Any
) -> concurrent.futures.ProcessPoolExecutor:
  """A pool whose workers call `start(*arguments)` first; both are pickled."""
  # Spawned, since a fork of a process that has started threads may hang.
  return concurrent.futures.ProcessPoolExecutor(
      processes,
      multiprocessing.get_context("spawn"),
      initializer=_start_worker,
      initargs=(start, *arguments),
  )


def _start_worker(start: Callable[..., None] | None, *arguments: Any) -> None:
  # Ctrl-C and a scheduler's SIGTERM reach the whole group: the parent says what becomes of it.
  for stop in (signal.SIGINT, signal.SIGTERM):
    signal.signal(stop, signal.SIG_IGN)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  if start is not None:
    start(*arguments)


def _end_with_parent() -> None:
  """A killed parent cannot tell its workers to stop: they watch for its end themselves."""
  parent = multiprocessing.parent_process()
  if parent is not None:
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
