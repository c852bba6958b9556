"""The processes of a job tell each other that they live, and why they end.

Through the coordination service of JAX, which process 0 serves, from threads of their own: a
process that waits in a collective is told too. JAX itself ends a process whose peer is gone
(`processes.HEARTBEAT_SECONDS`), later and without a word of ours.
"""

import contextlib
import json
import threading
import time
from typing import Any, Self

from mla_jax import watchdog
from mla_jax.processes import Service

# A process that says nothing for so long is gone, and ends the job.
SILENT_SECONDS = 60.0
POLL_SECONDS = 2.0
# How long process 0 stays until the others have learnt why the job ends: with it goes the service,
# and JAX aborts whoever is left.
LINGER_SECONDS = 2.5 * POLL_SECONDS
_ALIVE, _ENDED = "mla_jax/alive/", "mla_jax/ended/"


class Peers:
  """While open, this process ends when another has failed, was stopped, or says nothing any more.

  Process 0 watches all the others, and they watch process 0, by the service's answers: so the
  traffic grows as the number of processes.

  Args:
    service: of the job.
    silent_seconds: see SILENT_SECONDS.
  """

  def __init__(self, service: Service, silent_seconds: float = SILENT_SECONDS) -> None:
    self.number = service.number
    self._client = service.client
    self._silent_seconds = silent_seconds
    self._done = threading.Event()
    others = range(1, service.count) if self.number == 0 else [0]
    now = time.monotonic()
    # Of each that is watched: what it said last, and when that was new.
    self._heard = {other: (["", "the start"], now) for other in others}

  def __enter__(self) -> Self:
    for function in (self._talk, self._judge):
      name = f"peers{function.__name__}"
      threading.Thread(target=function, name=name, daemon=True).start()
    return self

  def __exit__(self, *unused: object) -> None:
    self._done.set()

  def tell(self, why: str, code: int) -> None:
    """Ends the others, soon, with this exit code; returns when they have had time to learn of it.

    Args:
      why: e.g. "failed: the disk is full", to stand behind "process 0".
      code: their exit code.
    """
    # In a thread, since a service that is stopped would never answer.
    told = threading.Thread(target=self._set_ended, args=(why, code), daemon=True)
    told.start()
    told.join(LINGER_SECONDS)
    # The others should know before they see what this end does to their collectives.
    time.sleep(LINGER_SECONDS if self.number == 0 else POLL_SECONDS)

  def _set_ended(self, why: str, code: int) -> None:
    # Without the service, which is an error, the others end anyway.
    with contextlib.suppress(Exception):
      self._client.key_value_set(f"{_ENDED}{self.number}", json.dumps([why, code]))

  def _talk(self) -> None:
    count = 0
    while not self._done.is_set():
      count += 1
      said = json.dumps([str(count), watchdog.where()])
      try:
        self._client.key_value_set(f"{_ALIVE}{self.number}", said, allow_overwrite=True)
        ended = self._client.key_value_dir_get(_ENDED)
        alive = self._client.key_value_dir_get(_ALIVE) if self.number == 0 else []
      except Exception:  # The service does not answer: `_judge` sees for how long.
        ended, alive = [], []
      else:
        self._hear([(0, [str(count), "serving"])] if self.number else _numbered(alive))
      for number, (why, code) in _numbered(ended):
        if number != self.number and not self._done.is_set():
          self._follow(number, why, code)
      self._done.wait(POLL_SECONDS)

  def _hear(self, said: list[tuple[int, Any]]) -> None:
    for number, words in said:
      if number in self._heard and words != self._heard[number][0]:
        self._heard[number] = (words, time.monotonic())

  def _follow(self, number: int, why: str, code: int) -> None:
    kind = "error: " if code == 1 else ""
    watchdog.begin_end(
        f"{kind}process {number} {why} (process {self.number} was at {watchdog.where()})"
    )
    if self.number == 0:
      time.sleep(LINGER_SECONDS)
    watchdog.leave(code)

  def _judge(self) -> None:
    last = time.monotonic()
    while not self._done.wait(min(1.0, self._silent_seconds / 4)):
      now = time.monotonic()
      if now - last > self._silent_seconds / 2:  # This process itself stood still: it hears anew.
        self._heard = {number: (said, now) for number, (said, _) in self._heard.items()}
      last = now
      for number, ((_, place), since) in list(self._heard.items()):
        if now - since > self._silent_seconds:
          self._end_without(number, place)

  def _end_without(self, number: int, place: str) -> None:
    seen = f" (it was at {place})" if self.number == 0 else ""
    why = f"process {number} has not answered for {self._silent_seconds:g} s{seen}"
    watchdog.begin_end(
        f"error: {why}: its host or network may be gone; this process, {self.number}, was at "
        f"{watchdog.where()}; the last checkpoint is good: start the job again",
        stacks=True,
    )
    if self.number == 0:  # The others have nobody else to ask.
      self.tell(f"ended the job: {why}", 1)
    watchdog.leave(1)


def _numbered(entries: list[tuple[str, str]]) -> list[tuple[int, Any]]:
  """The numbers of processes, from the ends of their keys, with what they said."""
  return [(int(key.rpartition("/")[2]), json.loads(value)) for key, value in entries]
