"""Ends a process in which no thread can run: a call that keeps Python's lock does not come back.

None of its own threads could. A small process beside it, with nothing but Python in it, waits for
its beats, and sees what a timer within could not: that it is suspended, and not stuck.
"""

import contextlib
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import time
from typing import Self

_MOST_BYTES = 1000
_POLL_SECONDS = 1.0
_DYING_SECONDS = 10.0  # In which the stacks are written.


class OutsideWatch:
  """While open, this process is ended by SIGABRT when it has not called `beat` for too long.

  Where its stacks are to be told, faulthandler is enabled. Of a system without /proc nobody knows
  whether the process is suspended: there it is not ended.
  """

  def __enter__(self) -> Self:
    self._resting = False
    # Not through the pipe, which could be full: whoever speaks must never wait.
    self._fd, path = tempfile.mkstemp()
    os.unlink(path)
    self._child = subprocess.Popen(
        # Isolated and without site: it starts in milliseconds and needs no package.
        [sys.executable, "-I", "-S", __file__, str(self._fd), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[self._fd],
        start_new_session=True,  # What is sent to the group is not for it.
    )
    return self

  def __exit__(self, *unused: object) -> None:
    self.rest()
    self._child.communicate()
    os.close(self._fd)

  def beat(self, seconds: float, where: str) -> None:
    """Says that a thread runs, how long it may be until the next beat (0: any time), and where."""
    if not self._resting:
      beat = f"{time.monotonic_ns()} {seconds:g} {where}".encode()[:_MOST_BYTES]
      os.pwrite(self._fd, beat.ljust(_MOST_BYTES), 0)

  def rest(self) -> None:
    """From now on no beat is waited for: the process is about to end."""
    self._resting = True
    os.ftruncate(self._fd, 0)


def main() -> None:
  """The process beside it."""
  fd, watched = int(sys.argv[1]), int(sys.argv[2])
  for stop in (signal.SIGINT, signal.SIGTERM):  # A scheduler sends them to every process.
    signal.signal(stop, signal.SIG_IGN)
  heard, seconds, since, last = b"", 0.0, 0.0, time.monotonic()
  while not _ended(watched, min(_POLL_SECONDS, seconds / 4 or _POLL_SECONDS)):
    beat, now = os.pread(fd, _MOST_BYTES, 0), time.monotonic()
    # Whatever is suspended begins anew, this process too.
    if beat != heard or _suspended(watched) or now - last > seconds / 2:
      heard, since = beat, now
    last = now
    _, limit, where = heard.decode(errors="ignore").split(maxsplit=2) if heard else ("", "0", "")
    seconds = float(limit)
    if seconds and now - since > seconds:
      _end(watched)
      print(
          f"error: nothing happened for {seconds:g} s since {where.strip()}, and no thread of the "
          "process could run: a call of a library may be stuck; the last checkpoint is good "
          "(train.hang_seconds sets this limit)",
          file=sys.stderr,
      )
      return


def _ended(watched: int, seconds: float) -> bool:
  """Whether the process ends within this time."""
  # Its pipe alone does not tell: what it has forked may hold it too.
  return bool(select.select([sys.stdin], [], [], seconds)[0]) or os.getppid() != watched


def _suspended(watched: int) -> bool:
  """Whether it is, or may be, stopped by a signal or a debugger."""
  try:
    status = pathlib.Path(f"/proc/{watched}/stat").read_text(errors="replace")
  except OSError:
    return True
  return status.rpartition(")")[2].split()[0] in "Tt"


def _end(watched: int) -> None:
  """SIGABRT has faulthandler write the stacks; where that is stuck too, SIGKILL comes after it."""
  with contextlib.suppress(ProcessLookupError):
    os.kill(watched, signal.SIGABRT)
    if not _ended(watched, _DYING_SECONDS):
      os.kill(watched, signal.SIGKILL)


if __name__ == "__main__":
  main()
