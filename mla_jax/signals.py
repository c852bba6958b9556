"""A polite request to stop: read by the loop between steps, obeyed at once where all is saved."""

from collections.abc import Iterator
import contextlib
import os
import signal
import threading
import types
from typing import Any, Self

import jax
from jax.experimental import multihost_utils

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
  """SIGTERM came. No `Exception`, which some catch to blame what they were doing."""


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
  """SIGTERM raises `Stopped` here, in the process that gets it: for where nothing must be saved.

  It takes the place of JAX's handler, which waits to be asked. Only the main thread can receive
  signals: opened in another one, the context changes nothing.
  """
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  earlier = signal.signal(signal.SIGTERM, _end_at_once)
  try:
    yield
  except Stopped:
    raise  # The process ends, and goes on ignoring further ones.
  except BaseException:
    _restore(signal.SIGTERM, earlier)
    raise
  _restore(signal.SIGTERM, earlier)


def _end_at_once(number: int, frame: types.FrameType | None) -> None:
  del frame
  signal.signal(number, signal.SIG_IGN)  # A second one must not end the ending.
  os.write(2, f"{signal.Signals(number).name}: stopping\n".encode())
  raise Stopped


class StopSignal:
  """Turns SIGTERM and SIGINT into the flag `requested` while the context is open.

  Of several processes each may get a SIGTERM of its own, and they have to stop at the same step:
  JAX's handler is left in its place, and the processes agree (`stops_at`).

  A second SIGINT raises KeyboardInterrupt at once, for a user who does not want to wait for the
  checkpoint. Earlier handlers come back at the end. Only the main thread can receive signals:
  opened in another one, the context changes nothing.
  """

  def __init__(self) -> None:
    self.requested = False
    self._interrupted = False
    self._earlier: dict[signal.Signals, Any] = {}

  def __enter__(self) -> Self:
    alone = jax.process_count() == 1
    if alone and threading.current_thread() is threading.main_thread():
      self._earlier = {which: signal.signal(which, self._handle) for which in SIGNALS}
    return self

  def __exit__(self, *unused: object) -> None:
    for which, handler in self._earlier.items():
      _restore(which, handler)
    self._earlier = {}

  def stops_at(self, step: int) -> bool:
    """Whether to stop before `step`; the same in every process. To be asked once a step."""
    if jax.process_count() == 1:
      return self.requested
    return bool(multihost_utils.reached_preemption_sync_point(step))

  def _handle(self, number: int, frame: types.FrameType | None) -> None:
    del frame
    if number == signal.SIGINT and self._interrupted:
      raise KeyboardInterrupt
    self._interrupted |= number == signal.SIGINT
    self.requested = True
    # Not print: its buffer may be locked by what the signal interrupted.
    os.write(2, f"{signal.Signals(number).name}: stopping at the next step\n".encode())


def _restore(which: signal.Signals, handler: Any) -> None:
  # None: set by C code, which Python cannot give back.
  signal.signal(which, signal.SIG_DFL if handler is None else handler)
