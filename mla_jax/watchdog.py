"""Ends a run that no longer gets anywhere, and says where it stood."""

import faulthandler
import os
import sys
import threading
import time
from typing import Self


class Watchdog:
  """Ends the process, exit code 1, when `alive` was not called for so long.

  A collective whose partner is stuck elsewhere waits for ever, on all hosts, without a word. (One
  that is gone is missed sooner: `processes.HEARTBEAT_SECONDS`.) This one writes the last step and
  the stack of every thread to standard error first.

  Args:
    seconds: longest time between two calls, compilation and evaluation included; 0: no watch.
  """

  def __init__(self, seconds: float) -> None:
    self._seconds = seconds
    self._last = (time.monotonic(), "the start")
    self._done = threading.Event()

  def __enter__(self) -> Self:
    if self._seconds:
      threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
    return self

  def __exit__(self, *unused: object) -> None:
    self._done.set()

  def alive(self, step: int) -> None:
    """Says that `step` was reached."""
    self._last = (time.monotonic(), f"step {step}")

  def _watch(self) -> None:
    while not self._done.wait(min(1.0, self._seconds / 4)):
      since, where = self._last
      if time.monotonic() - since > self._seconds:
        print(
            f"error: nothing happened for {self._seconds:g} s since {where}: a process of the job "
            "may be gone; the last checkpoint is good (train.hang_seconds sets this limit)",
            file=sys.stderr,
            flush=True,
        )
        faulthandler.dump_traceback(all_threads=True)
        os._exit(1)
