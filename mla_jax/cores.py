"""The cores this process may use: fewer than the machine has where a scheduler shares it out."""

from collections.abc import Iterable
import os


def available() -> list[int]:
  """Numbers of the cores; where the system does not tell (macOS), those of the machine."""
  if hasattr(os, "sched_getaffinity"):
    return sorted(os.sched_getaffinity(0))
  return list(range(os.cpu_count() or 1))


def count() -> int:
  """How many there are, at least 1."""
  return len(available())


def pin(cores: Iterable[int]) -> None:
  """Keeps this thread, and what it starts, on some cores, where the system can."""
  if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, cores)
