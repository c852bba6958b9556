"""A script beside a process: ends it when no thread can run, as in a call that keeps Python's lock.

None of its own threads could. It waits for beats, and sees what a timer within could not: that the
process is suspended, and not stuck. `beside.OutsideWatch` starts it.
"""

import contextlib
import os
import pathlib
import select
import signal
import sys
import time

_POLL_SECONDS = 1.0
_DYING_SECONDS = 10.0  # In which the stacks are written.


def main() -> None:
  """The process beside it."""
  fd, watched = int(sys.argv[1]), int(sys.argv[2])
  for stop in (signal.SIGINT, signal.SIGTERM):  # A scheduler sends them to every process.
    signal.signal(stop, signal.SIG_IGN)
  heard, seconds, since, last = b"", 0.0, 0.0, time.monotonic()
  while not _ended(watched, min(_POLL_SECONDS, seconds / 4 or _POLL_SECONDS)):
    beat, now = os.pread(fd, os.fstat(fd).st_size, 0), time.monotonic()
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
