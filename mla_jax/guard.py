"""Whatever happens to a process of a job, it ends in a stated time, and the others with it."""

from collections.abc import Iterator
import contextlib
import sys
import time
import traceback
from typing import NoReturn

from mla_jax import processes, watchdog
from mla_jax.beside import LastWords
from mla_jax.errors import UserError
from mla_jax.peers import POLL_SECONDS, Peers
from mla_jax.signals import Stopped


@contextlib.contextmanager
def guarded(stopped_code: int) -> Iterator[None]:
  """Ends this process when it hangs; of several processes, all of them when one ends.

  An error of one of several is written here, and the process left at once.

  Args:
    stopped_code: exit code of all after `signals.Stopped` in one of them.
  """
  service = processes.service()
  if service is None:
    with watchdog.watching():
      try:
        yield
      except Stopped:
        sys.exit(stopped_code)
    return
  with (
      LastWords(f"process {service.number}") as last_words,
      watchdog.watching(last_words),
      Peers(service) as peers,
  ):
    try:
      yield
    except (Exception, KeyboardInterrupt, Stopped) as error:
      _end_all(error, peers, stopped_code)


def _end_all(error: BaseException, peers: Peers, stopped_code: int) -> NoReturn:
  """Ends this process, and through what it tells them the others."""
  where, code = watchdog.where(), 1
  if isinstance(error, UserError):
    why = f"failed: {error}"
    watchdog.begin_end(f"error: {error}")
  elif isinstance(error, Stopped):
    why, code = "was told to stop", stopped_code
    watchdog.begin_end(f"stopped at {where}")
  else:
    # It may be no more than what another's end did to a collective: who ended first tells why.
    time.sleep(2 * POLL_SECONDS)
    why = f"failed at {where}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    shown = "".join(traceback.format_exception(error))
    watchdog.begin_end(f"{shown}error: this process, {peers.number}, {why}")
  peers.tell(why, code)
  watchdog.leave(code)
