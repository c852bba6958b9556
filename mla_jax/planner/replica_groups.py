"""Which devices take part in a collective, out of the attributes of its HLO text."""

import math
import re

from mla_jax.errors import UserError

_TILED = re.compile(r"\[\d+,(\d+)\]<=")  # [2,4]<=[8]: two groups of four.
_LISTED = re.compile(r"\{\{([\d,]*)\}")  # {{0,1},{2,3}}
_ALL = re.compile(r"\{\}")
# mesh['x'=2,'y'=4], device_ids=(...) {'y'}: a group is all devices along these axes. 'y':(2)2 is a
# part of an axis: 2 devices, behind 2 that the axis was divided into before.
_MESH = re.compile(r"mesh\[([^\]]*)\](?:, device_ids=\(.*?\))? \{([^}]*)\}")
_AXIS = re.compile(r"'?([\w.\-]+)'?(?:=(\d+)|:\(\d+\)(\d+))?")


def group_size(attributes: str) -> int:
  """Devices that a group of a collective has; 0 where all take part.

  Raises:
    UserError: groups of a form that is not known.
  """
  _, given, groups = attributes.partition("replica_groups=")
  if not given or _ALL.match(groups):
    return 0
  if match := _TILED.match(groups):
    return int(match[1])
  if match := _LISTED.match(groups):
    return len(match[1].split(","))
  if match := _MESH.match(groups):
    sizes = {axis[1]: int(axis[2]) for axis in _AXIS.finditer(match[1])}
    return math.prod(int(axis[3] or sizes[axis[1]]) for axis in _AXIS.finditer(match[2]))
  raise UserError(
      f"replica_groups={groups[:60]}: a form of XLA's that is not known, so that traffic cannot be"
      " counted: teach it to mla_jax/planner/replica_groups.py"
  )


def permuted(attributes: str) -> tuple[tuple[int, int], ...]:
  """Who sends to whom in a permutation; empty for another collective."""
  found = re.search(r"source_target_pairs=\{(\{[\d,{}]*\})\}", attributes)
  pairs = re.findall(r"\{(\d+),(\d+)\}", found[1]) if found else []
  return tuple((int(source), int(target)) for source, target in pairs)
