"""A script beside a process: tells where that was when it is ended in a way that leaves no word.

That is kill -9, the kernel short of memory, or JAX's C++ code, which aborts a process whose first
peer is gone. Its end shows by a pipe. `beside.LastWords` starts it.
"""

import os
import signal
import sys


def main() -> None:
  """The process beside it."""
  fd, name = int(sys.argv[1]), sys.argv[2]
  for stop in (signal.SIGINT, signal.SIGTERM):  # A scheduler sends them to every process.
    signal.signal(stop, signal.SIG_IGN)
  sys.stdin.buffer.read()
  words = os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="ignore").strip()
  if words:
    print(f"error: {name} was ended from outside, or by a library: at {words}", file=sys.stderr)


if __name__ == "__main__":
  main()
