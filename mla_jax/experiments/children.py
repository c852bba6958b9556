"""The processes of a grid: side by side, and ended with it, however it ends."""

from collections.abc import Iterator, Sequence
import concurrent.futures
import contextlib
import os
import signal
import subprocess
import sys
import threading
import types
from typing import IO, NoReturn

_SAID = ": no more runs are started, those that run save and end; the same command goes on\n"


class Stopped(BaseException):
  """SIGINT or SIGTERM, as an exception: no `except Exception` on the way takes it for a failure."""

  def __init__(self, number: int) -> None:
    super().__init__(number)
    self.number = number


class Children:
  """The processes that run now; after `end` none is started."""

  def __init__(self) -> None:
    self._lock = threading.Lock()
    self._running: set[subprocess.Popen[str]] = set()
    self._ended = False

  def run(self, arguments: Sequence[str], stderr: IO[str]) -> tuple[int, str]:
    """Exit code and standard output of `python ARGUMENTS`; to be called in a thread that waits."""
    tied = [sys.executable, "-m", "mla_jax.experiments.tied", str(os.getpid()), *arguments]
    with self._lock:
      if self._ended:
        return -signal.SIGTERM, ""
      child = subprocess.Popen(
          tied, stdout=subprocess.PIPE, stderr=stderr, text=True, errors="replace"
      )
      self._running.add(child)
    try:
      output, _ = child.communicate()
    finally:
      with self._lock:
        self._running.discard(child)
    return child.returncode, output

  def end(self, number: int) -> None:
    """Sends them a signal: after SIGTERM a training saves first."""
    with self._lock:
      self._ended = True
      for child in self._running:
        child.send_signal(number)


@contextlib.contextmanager
def threads(jobs: int) -> Iterator[tuple[concurrent.futures.ThreadPoolExecutor, Children]]:
  """Threads to start processes from; what leaves the block early ends these and starts no more."""
  pool, children = concurrent.futures.ThreadPoolExecutor(jobs), Children()
  try:
    yield pool, children
  except BaseException:
    pool.shutdown(wait=False, cancel_futures=True)
    children.end(signal.SIGTERM)
    try:
      pool.shutdown()
    except KeyboardInterrupt:  # The second: its user does not want to wait for checkpoints.
      children.end(signal.SIGKILL)
    raise
  pool.shutdown()


@contextlib.contextmanager
def exit_on_signals() -> Iterator[None]:
  """Ctrl-C and SIGTERM leave the block by `Stopped`, with one line and a shell's exit code."""
  stops = (signal.SIGINT, signal.SIGTERM)
  earlier = {which: signal.signal(which, _stop) for which in stops}
  try:
    yield
  except Stopped as stopped:
    sys.exit(128 + stopped.number)
  finally:
    for which, handler in earlier.items():
      signal.signal(which, handler)


def _stop(number: int, frame: types.FrameType | None) -> NoReturn:
  del frame
  # A scheduler may repeat itself, a user who does so is impatient.
  signal.signal(signal.SIGTERM, signal.SIG_IGN)
  signal.signal(signal.SIGINT, signal.default_int_handler)
  # Not print: its buffer may be locked by what the signal interrupted.
  os.write(2, (signal.Signals(number).name + _SAID).encode())
  raise Stopped(number)
