"""Ends a process that no longer gets anywhere, and says where it stood.

Whoever gets on says so, in words: `alive("step 12")`. Like a logger's, this state is the process's,
so that no function has to hand it down. Nothing is watched outside `watching`.
"""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import faulthandler
import os
import sys
import threading
import time
from typing import NoReturn

from mla_jax.beside import LastWords, OutsideWatch

# Until a config is read, whose train.hang_seconds `limit` sets.
START_SECONDS = 3600.0
_SPEAK_SECONDS = 5.0  # How long the end of a process waits for its last words to be taken.


@dataclasses.dataclass
class _Process:
  """Attributes: phase and detail, e.g. "evaluating", "batch 3"; when they were said; the limit."""

  phase: str = "the start"
  detail: str = ""
  since: float = 0.0
  seconds: float = START_SECONDS
  last_words: LastWords | None = None
  outside: OutsideWatch | None = None


_process = _Process()
_ending = threading.Lock()  # Never given back: one thread alone tells why the process ends.


def alive(phase: str) -> None:
  """Says what begins now, e.g. "step 12"."""
  _process.phase = phase
  progress("")


def progress(detail: str) -> None:
  """Says how far the phase has come, e.g. "batch 3"."""
  _process.detail = detail
  _process.since = time.monotonic()
  if _process.last_words:
    _process.last_words.say(where())
  _beat()


def _beat() -> None:
  if outside := _process.outside:
    outside.beat(_process.seconds, where())


def where() -> str:
  """What was said last: "step 12", "evaluating after step 12, batch 3"."""
  return f"{_process.phase}, {_process.detail}" if _process.detail else _process.phase


def limit(seconds: float) -> None:
  """Sets the longest time between two signs of life, compilation included; 0: no limit."""
  _process.seconds = seconds


@contextlib.contextmanager
def watching(last_words: LastWords | None = None) -> Iterator[None]:
  """Ends the process, exit code 1, when nothing was said for longer than the limit.

  A collective whose partner is stuck elsewhere waits for ever, on all hosts, without a word. (One
  that is gone is missed sooner, see `peers`.) Where no thread can run so long, as in a call that
  keeps Python's lock, it is ended by SIGABRT.

  Args:
    last_words: kept up to date meanwhile.
  """
  done = threading.Event()
  with OutsideWatch() as outside:
    _process.last_words, _process.outside = last_words, outside
    alive("the start")
    thread = threading.Thread(target=_watch, args=(done,), name="watchdog", daemon=True)
    thread.start()
    try:
      yield
    finally:
      done.set()
      thread.join()  # A beat after the end would go to whatever file has the number then.
      _process.last_words = _process.outside = None


def begin_end(message: str, *, stacks: bool = False) -> None:
  """Says why the process ends; from then on the calling thread alone can end it, by `leave`.

  Args:
    message: for standard error.
    stacks: also writes the stack of every thread.
  """
  _ending.acquire()
  if _process.outside:
    _process.outside.rest()

  def tell() -> None:
    print(message, file=sys.stderr, flush=True)
    if stacks:
      faulthandler.dump_traceback(all_threads=True)

  _try(tell)


def leave(code: int) -> NoReturn:
  """Ends the process at once, from any thread, without what Python does at its exit.

  JAX waits there for the other processes, minutes long where one is gone.
  """
  _try(sys.stdout.flush)
  _try(sys.stderr.flush)
  if _process.last_words:
    _process.last_words.none()
  os._exit(code)


def _try(speak: Callable[[], object]) -> None:
  """Whoever should read it may be gone, or read no more: neither keeps a process from its end."""
  def run() -> None:
    with contextlib.suppress(Exception):
      speak()

  thread = threading.Thread(target=run, daemon=True)
  thread.start()
  thread.join(_SPEAK_SECONDS)


def _watch(done: threading.Event) -> None:
  last = time.monotonic()
  while not done.wait(min(1.0, _process.seconds / 4) if _process.seconds else 1.0):
    _beat()
    seconds, now = _process.seconds, time.monotonic()
    if now - last > seconds / 2:  # The process was suspended, all of it: it begins anew.
      _process.since = now
    last = now
    if seconds and now - _process.since > seconds:
      begin_end(
          f"error: nothing happened for {seconds:g} s since {where()}: a process of the job may be "
          "stuck; the last checkpoint is good (train.hang_seconds sets this limit)",
          stacks=True,
      )
      leave(1)
