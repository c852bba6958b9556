"""Windows of time: what is clipped, what is left out, and how it is counted."""

import math
from typing import Any

from mla_jax.data.annotations import files
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_NOISE = 1e-6  # Seconds: less is the rounding of decimals to floats, and no repair.


def read_window(value: Any, where: str) -> tuple[float, float]:
  """`[start, end]` of a JSON file: two finite numbers, in any order."""
  if len(files.expect(value, list, where)) != 2:
    raise UserError(f"{where} are {files.short(value)}, not [start, end]: {files.MEND}")
  start, end = (files.finite(time, where) for time in value)
  return start, end


def clip_window(
    window: tuple[float, float],
    duration: float,
    tally: Tally,
    *,
    what: str,
    otherwise: str,
    place: str = "",
) -> tuple[float, float] | None:
  """The part of a window that lies in the video, or None where there is none; both are counted.

  Less than a microsecond outside is taken off without a count.

  Args:
    window: start and end in seconds, finite.
    duration: of the video in seconds; NaN where it is not known.
    tally: counts what is clipped and what is not usable.
    what: the plural that the counts are of, e.g. "sentences".
    otherwise: what becomes of those without a window, e.g. "left out".
    place: names the entry in the note about those.
  """
  start, end = window
  clipped = max(start, 0.0), end if math.isnan(duration) else min(end, duration)
  if end <= start:
    tally.add(f"{what} had an end that is not after their start: {otherwise}", place)
    return None
  if clipped[0] >= clipped[1]:
    tally.add(f"{what} lay wholly outside the video: {otherwise}", place)
    return None
  if clipped[0] - start > _NOISE or end - clipped[1] > _NOISE:
    tally.add(f"{what} had times outside [0, duration]: clipped")
  return clipped


def read_duration(value: Any, where: str) -> float:
  """A finite number of seconds above 0."""
  duration = files.finite(value, where)
  if duration <= 0:
    raise UserError(f"{where} is {duration:g}, not above 0: {files.MEND}")
  return duration
