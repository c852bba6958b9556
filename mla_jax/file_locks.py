"""Locks that the system lets go of when their holder ends, however it ends."""

import fcntl
from typing import IO


def try_lock(file: int | IO[str]) -> bool | None:
  """Takes the lock of an open file or folder without waiting.

  Returns:
    Whether it is held from now on; False where someone else holds it, None where the file system
    has no locks.
  """
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  except OSError:
    return None
  return True
