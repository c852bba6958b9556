"""One job at a time trains in a workdir."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import socket

from mla_jax import file_locks, processes
from mla_jax.errors import UserError
from mla_jax.log import logger

FILE = ".lock"


@contextlib.contextmanager
def held(workdir: pathlib.Path) -> Iterator[None]:
  """Keeps other jobs from training in an existing workdir; the first process speaks for a job.

  The system lets go of the lock when the process ends, however it ends: nothing is left to be
  cleaned up. Where a file system has no locks nobody is kept out, which is said; where it has them
  for one machine alone, as a bucket that is mounted may, nobody on another is.

  Raises:
    UserError: another job holds it.
  """
  if not processes.is_first():
    yield
    return
  with open(workdir / FILE, "a+", encoding="utf-8") as file:
    locked = file_locks.try_lock(file)
    if locked is None:
      logger.warning("%s: its file system has no locks: nothing keeps a second job out", workdir)
      yield
      return
    if not locked:
      file.seek(0)
      raise UserError(
          f"{workdir}: another job is training in it ({file.read().strip() or 'not known which'}): "
          "wait for its end, or use another --workdir"
      )
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    yield
