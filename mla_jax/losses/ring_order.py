"""In which order a ring goes round the devices of a mesh."""

from collections.abc import Sequence
import math

import jax
import numpy as np

Place = tuple[int, ...]


def ring_order(devices: Sequence[jax.Device]) -> tuple[int, ...]:
  """Indices of the devices along a ring, whose steps all go to a physical neighbour if possible.

  For TPUs XLA sends a permutation in the background, beside the computation, only where every chip
  sends to its neighbour; the rows of a mesh taken one after the other jump back at their ends. (As
  compiled for v5e:8x8 and v5e:16x16 by libtpu 0.0.42; docs/scaling.md.)

  Where the devices say no coordinates, as on CPU and GPU, where these are no full box of chips
  (several slices, several cores a chip), or where a box has no such ring (a single line, an odd
  number of chips), the order is that of the devices.
  """
  places = [tuple(getattr(device, "coords", None) or ()) for device in devices]
  ring = neighbour_ring(places)
  return tuple(map(places.index, ring)) if ring else tuple(range(len(devices)))


def neighbour_ring(places: Sequence[Place]) -> list[Place]:
  """A cycle through all places of a box in steps of one along one axis; empty if there is none."""
  if not all(places) or len(set(places)) != len(places):
    return []
  low = np.min(places, axis=0)
  shape = np.max(places, axis=0) - low + 1
  count = math.prod(shape)
  # The box as a table: one axis is its columns, a snake through all others its rows.
  across = [a for a, side in enumerate(shape) if side > 1 and (count // side) % 2 == 0]
  if count != len(places) or not across:
    return []
  axis, *_ = across
  rows = _snake([1 if a == axis else int(side) for a, side in enumerate(shape)])
  # Down the first column, then back up in turns over the others: the number of rows is even.
  cycle = [(row, 0) for row in rows]
  for place, row in enumerate(reversed(rows)):
    columns = range(1, shape[axis])
    cycle += [(row, column) for column in (columns if place % 2 == 0 else reversed(columns))]
  along = np.eye(len(shape), dtype=int)[axis]
  return [tuple(map(int, low + row + column * along)) for row, column in cycle]


def _snake(shape: Sequence[int]) -> list[Place]:
  """All places of a box, each a neighbour of the one before."""
  if not shape:
    return [()]
  rest = _snake(shape[1:])
  return [
      (first, *place)
      for first in range(shape[0])
      for place in (rest if first % 2 == 0 else reversed(rest))
  ]
