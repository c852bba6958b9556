"""The processes of a grid: side by side, and ended with it, however it ends."""

from collections.abc import Callable, Iterator, Sequence
import concurrent.futures
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import types
from typing import IO, Any, NoReturn, TypeAlias, TypeVar

_STOPS = (signal.SIGINT, signal.SIGTERM)
_SAID = ": no more runs are started, those that run save and end; the same command goes on\n"
_T = TypeVar("_T")


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


# What the main thread waits for: a task that has ended, or the number of a signal.
_Events: TypeAlias = "queue.SimpleQueue[concurrent.futures.Future[Any] | int]"


def side_by_side(
    tasks: Sequence[Callable[[Children], _T]], jobs: int, done: Callable[[_T], None]
) -> None:
  """Calls tasks in `jobs` threads, and `done` with each result; an exception ends all processes.

  So does a signal, by `Stopped`, once the processes have ended; a second SIGINT kills them. Signals
  are queued meanwhile, for an exception wherever the main thread is may leave the lock of a future
  taken, and a thread that waits for it for ever.

  Args:
    tasks: each starts its processes by the children it is given.
    jobs: threads, at least 1.
    done: called in the main thread.
  """
  children = Children()
  events: _Events = queue.SimpleQueue()
  # `put` is made for use in signal handlers.
  queued = _handled(lambda number, frame: events.put(number))
  with queued, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
    left = 0
    try:
      for task in tasks:
        pool.submit(task, children).add_done_callback(events.put)
        left += 1
      while left:
        event = events.get()
        if isinstance(event, int):
          _stop(event)
        left -= 1
        done(event.result())
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      children.end(signal.SIGTERM)
      _wait(left, events, children)
      raise


def _wait(left: int, events: _Events, children: Children) -> None:
  """For the end of so many tasks, at once after a (second) SIGINT."""
  while left:
    event = events.get()
    if not isinstance(event, int):
      left -= 1
    elif event == signal.SIGINT:  # Its user does not want to wait for checkpoints.
      children.end(signal.SIGKILL)  # A scheduler may repeat SIGTERM, which is nothing new.


@contextlib.contextmanager
def exit_on_signals() -> Iterator[None]:
  """Ctrl-C and SIGTERM leave the block by `Stopped`, with one line and a shell's exit code."""
  with _handled(_stop_at_once):
    try:
      yield
    except Stopped as stopped:
      sys.exit(128 + stopped.number)


@contextlib.contextmanager
def _handled(handler: Callable[[int, types.FrameType | None], object]) -> Iterator[None]:
  earlier = {number: signal.signal(number, handler) for number in _STOPS}
  try:
    yield
  finally:
    for number, before in earlier.items():
      signal.signal(number, before)


def _stop_at_once(number: int, frame: types.FrameType | None) -> NoReturn:
  del frame
  # A scheduler may repeat itself, a user who does so is impatient.
  signal.signal(signal.SIGTERM, signal.SIG_IGN)
  signal.signal(signal.SIGINT, signal.default_int_handler)
  _stop(number)


def _stop(number: int) -> NoReturn:
  # Not print: its buffer may be locked by what the signal interrupted.
  os.write(2, (signal.Signals(number).name + _SAID).encode())
  raise Stopped(number)
