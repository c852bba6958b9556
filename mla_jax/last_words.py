"""Tells where a process was when it is ended in a way that leaves it no word.

That is kill -9, the kernel short of memory, or JAX's C++ code, which aborts a process whose first
peer is gone. A small process beside it, with nothing but Python in it, notices its end by a pipe.
"""

import os
import signal
import subprocess
import sys
import tempfile
from typing import Self

_MOST_BYTES = 1000


class LastWords:
  """While open, what was said last is written to standard error if the process ends.

  Args:
    name: of the process, for the message.
  """

  def __init__(self, name: str) -> None:
    self._name = name
    self._silent = False

  def __enter__(self) -> Self:
    # Not through the pipe, which could be full: whoever speaks must never wait.
    self._fd, path = tempfile.mkstemp()
    os.unlink(path)
    self._child = subprocess.Popen(
        # Isolated and without site: it starts in milliseconds and needs no package.
        [sys.executable, "-I", "-S", __file__, str(self._fd), self._name],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[self._fd],
        start_new_session=True,  # What is sent to the group is not for it.
    )
    return self

  def __exit__(self, *unused: object) -> None:
    self.none()
    self._child.communicate()
    os.close(self._fd)

  def say(self, words: str) -> None:
    """Replaces what was said."""
    if not self._silent:
      os.pwrite(self._fd, words.encode()[:_MOST_BYTES].ljust(_MOST_BYTES), 0)

  def none(self) -> None:
    """From now on there is nothing to tell: the process ends with its own words."""
    self._silent = True
    os.ftruncate(self._fd, 0)


def main() -> None:
  """The process beside it."""
  fd, name = int(sys.argv[1]), sys.argv[2]
  for stop in (signal.SIGINT, signal.SIGTERM):  # A scheduler sends them to every process.
    signal.signal(stop, signal.SIG_IGN)
  sys.stdin.buffer.read()
  words = os.pread(fd, _MOST_BYTES, 0).decode(errors="ignore").strip()
  if words:
    print(f"error: {name} was ended from outside, or by a library: at {words}", file=sys.stderr)


if __name__ == "__main__":
  main()
