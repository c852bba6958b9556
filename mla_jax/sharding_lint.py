"""Looks over a sharded state for what was meant to be split and is not."""

import math
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec

from mla_jax import sharding
from mla_jax.sharding import Rules

_LARGE_STATE = 10**9  # Bytes on a device from which dividing the state is worth a line.


def lint(state: Any, params: Any, rules: Rules, mesh: Mesh, *, most_bytes: int) -> list[str]:
  """What is large and yet whole on every device, and which rules split nothing.

  A rule that matches no parameter at all is an error already where the state is made.

  Args:
    state: abstract or real `TrainState`, with shardings; all of it is looked at.
    params: its parameters, for the rules.
    rules: that placed them.
    mesh: where it lives; on one without an axis to split over (fsdp=1) only the sum can be found.
    most_bytes: what a whole leaf may take.

  Returns:
    One line for each finding: what, how large, why.
  """
  if mesh.shape["fsdp"] == 1:
    return _whole_state(state, mesh)
  return _large_and_whole(state, mesh, most_bytes) + _idle_rules(params, rules)


def leaf_bytes(leaf: Any) -> int:
  """Of the whole array, whatever the number of devices it is on."""
  return math.prod(leaf.shape) * jax.dtypes.canonicalize_dtype(leaf.dtype).itemsize


def _whole_state(state: Any, mesh: Mesh) -> list[str]:
  sizes = {name: leaf_bytes(leaf) for name, leaf in sharding.named_leaves(state).items()}
  size = sum(sizes.values())
  if mesh.size == 1 or size < _LARGE_STATE:
    return []
  largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
  return [
      f"state: {size / 1e9:.1f} GB are whole on each of {mesh.size} devices: a larger mesh.fsdp"
      f" divides them; the largest are {', '.join(largest)}"
  ]


def _large_and_whole(state: Any, mesh: Mesh, most_bytes: int) -> list[str]:
  parts = mesh.shape["fsdp"]
  found = []
  for name, leaf in sharding.named_leaves(state).items():
    size = leaf_bytes(leaf)
    if size <= most_bytes or not leaf.sharding.is_fully_replicated:
      continue
    divides = any(dimension % parts == 0 for dimension in leaf.shape)
    reason = (
        "no rule splits it (sharding.rules, sharding.min_size)" if divides
        else f"none of its dimensions divides over mesh.fsdp={parts}"
    )
    found.append(
        f"{name}: {tuple(leaf.shape)}, {size / 1e6:.1f} MB, is whole on every device: {reason}"
    )
  return found


def _idle_rules(params: Any, rules: Rules) -> list[str]:
  leaves = sharding.named_leaves(params)
  patterns = [pattern for pattern, _ in rules]
  matches = sharding.first_matches(patterns, list(leaves), "sharding.rules", cover=True)
  found = []
  for index, (pattern, where) in enumerate(rules):
    if where == PartitionSpec():  # Asks for whole parameters.
      continue
    mine = [name for name, number in matches.items() if number == index]
    if all(leaves[name].sharding.is_fully_replicated for name in mine):
      found.append(
          f"sharding.rules: {pattern!r} splits none of the {len(mine)} parameters it matches, "
          f"e.g. {mine[0]!r} {tuple(leaves[mine[0]].shape)}"
      )
  return found
