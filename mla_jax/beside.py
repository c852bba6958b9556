"""Small processes beside this one, which do what it cannot when it is stuck or gone.

They have nothing but Python in them, read what this process has noted last, and see its end by a
pipe.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Self

_NOTE_BYTES = 1000


class _Beside:
  """While open, a script runs beside this process and can read what was noted last.

  Args:
    script: a file of this folder; it is given the descriptor of the note and the arguments.
    arguments: of the script.
  """

  def __init__(self, script: str, *arguments: str) -> None:
    self._script = pathlib.Path(__file__).with_name(script)
    self._arguments = arguments
    self._silent = False

  def __enter__(self) -> Self:
    # Not through the pipe, which could be full: whoever notes must never wait.
    self._fd, path = tempfile.mkstemp()
    os.unlink(path)
    self._child = subprocess.Popen(
        # Isolated and without site: it starts in milliseconds and needs no package.
        [sys.executable, "-I", "-S", str(self._script), str(self._fd), *self._arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[self._fd],
        start_new_session=True,  # What is sent to the group is not for it.
    )
    return self

  def __exit__(self, *unused: object) -> None:
    self._silence()
    self._child.communicate()
    os.close(self._fd)

  def _note(self, note: str) -> None:
    if not self._silent:
      os.pwrite(self._fd, note.encode()[:_NOTE_BYTES].ljust(_NOTE_BYTES), 0)

  def _silence(self) -> None:
    """From now on nothing is noted, and what was is gone."""
    self._silent = True
    os.ftruncate(self._fd, 0)


class LastWords(_Beside):
  """While open, what was said last is written to standard error if the process ends.

  Args:
    name: of the process, for the message.
  """

  def __init__(self, name: str) -> None:
    super().__init__("last_words.py", name)

  def say(self, words: str) -> None:
    """Replaces what was said."""
    self._note(words)

  def none(self) -> None:
    """From now on there is nothing to tell: the process ends with its own words."""
    self._silence()


class OutsideWatch(_Beside):
  """While open, this process is ended by SIGABRT when it has not called `beat` for too long.

  Where its stacks are to be told, faulthandler is enabled. Of a system without /proc nobody knows
  whether the process is suspended: there it is not ended.
  """

  def __init__(self) -> None:
    super().__init__("outside_watch.py", str(os.getpid()))

  def beat(self, seconds: float, where: str) -> None:
    """Says that a thread runs, how long it may be until the next beat (0: any time), and where."""
    self._note(f"{time.monotonic_ns()} {seconds:g} {where}")

  def rest(self) -> None:
    """From now on no beat is waited for: the process is about to end."""
    self._silence()
