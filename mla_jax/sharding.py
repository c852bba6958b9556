"""The device mesh, and where each array lives on it.

Everything here addresses parameters by their path in the tree, "video/layers_0/attention/kernel",
and matches whole paths with regular expressions: first match wins.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import difflib
import math
import re
from typing import Any, TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict
import numpy as np

from mla_jax.errors import UserError, check_numbers

AXES = ("data", "fsdp")


@dataclasses.dataclass(frozen=True)
class Fsdp:
  """Splits the longest dimension that divides over the axis `fsdp`, of two alike the last.

  Parameters of fewer than `min_size` elements stay whole: to gather them costs more than they take.
  """

  min_size: int = 0

  def spec(self, shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    """Where an array of this shape lives; whole where no dimension divides."""
    parts = mesh.shape["fsdp"]
    fits = [(size, axis) for axis, size in enumerate(shape) if size and size % parts == 0]
    if parts == 1 or not fits or math.prod(shape) < self.min_size:
      return PartitionSpec()
    axis = max(fits)[1]
    return PartitionSpec(*(None,) * axis, "fsdp")


Rules = Sequence[tuple[str, PartitionSpec | Fsdp]]
Tree = TypeVar("Tree")

# Every parameter on every device: plain data parallelism.
REPLICATED: Rules = ((".*", PartitionSpec()),)


def make_mesh(config: ConfigDict, devices: Sequence[jax.Device] | None = None) -> Mesh:
  """Mesh over ("data", "fsdp") with automatic partitioning by the compiler.

  Args:
    config: `data` and `fsdp`, devices along each axis; at most one may be -1: all that are left.
    devices: defaults to every device of every process.

  Raises:
    UserError: the sizes do not multiply to the number of devices.
  """
  devices = jax.devices() if devices is None else list(devices)
  sizes = {axis: int(config[axis]) for axis in AXES}
  shown = " x ".join(f"mesh.{axis}={size}" for axis, size in sizes.items())
  given = [size for size in sizes.values() if size != -1]
  if len(given) < len(AXES) - 1 or min(given) < 1:
    raise UserError(f"{shown}: each must be at least 1, and at most one -1 (all devices left)")
  rest = len(devices) // math.prod(given)
  sizes = {axis: rest if size == -1 else size for axis, size in sizes.items()}
  if math.prod(sizes.values()) != len(devices):
    raise UserError(f"{shown}: does not fit the {len(devices)} devices: set one of them to -1")
  return jax.make_mesh(
      tuple(sizes.values()), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices
  )


def replicated(mesh: Mesh) -> NamedSharding:
  """The whole array on every device."""
  return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """First dimension split over all devices, whichever axis they are on."""
  return NamedSharding(mesh, PartitionSpec(AXES))


def batch_places(mesh: Mesh) -> tuple[int, ...]:
  """Which of the mesh's equal parts of a batch this process's devices hold, ascending.

  A mesh of TPUs has devices in the order of their links: those of a process need not be neighbours.
  """
  parts = batch_sharding(mesh).addressable_devices_indices_map((mesh.size,))
  return tuple(sorted(part[0].indices(mesh.size)[0] for part in parts.values() if part))


def rules_from_config(config: ConfigDict) -> Rules:
  """`config.sharding.rules`: (regex, "fsdp") or (regex, axes of each dimension) pairs.

  Raises:
    UserError: an entry of another form, or a negative `min_size`.
  """
  check_numbers("sharding", config, {"0 or more": ("min_size",)})
  rules: list[tuple[str, PartitionSpec | Fsdp]] = []
  for rule in config.rules:
    pattern, where = rule if isinstance(rule, tuple) and len(rule) == 2 else (None, None)
    if not isinstance(pattern, str) or not (where == "fsdp" or isinstance(where, tuple)):
      raise UserError(
          f"sharding.rules: {rule!r}: write (regex, 'fsdp'), (regex, (axis or None, ...)) or "
          "(regex, ()) for a parameter on every device"
      )
    rules.append((pattern, Fsdp(config.min_size) if where == "fsdp" else PartitionSpec(*where)))
  return tuple(rules)


def path_name(path: Sequence[Any]) -> str:
  """A key path of `jax.tree_util` as "a/b/c"."""
  return jax.tree_util.keystr(tuple(path), simple=True, separator="/")


def named_leaves(tree: Any) -> dict[str, Any]:
  """The leaves of a tree by their path "a/b/c", in the order of the tree."""
  return {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def first_matches(
    patterns: Sequence[str], names: Sequence[str], key: str, *, cover: bool = False
) -> dict[str, int]:
  """For each name the index of the first pattern that matches all of it.

  Args:
    patterns: regular expressions.
    names: parameter paths; those no pattern matches are left out of the answer.
    key: where the patterns come from, for the messages, e.g. "optimizer.freeze".
    cover: whether every name must be matched.

  Raises:
    UserError: a pattern is not a regular expression or matches nothing (or nothing that an earlier
      one has not already taken), or, with `cover`, a name is unmatched.
  """
  try:
    compiled = [re.compile(pattern) for pattern in patterns]
  except re.error as error:
    raise UserError(f"{key}: {error.pattern!r} is not a regular expression: {error}") from error
  found: dict[str, int] = {}
  for name in names:
    index = next((i for i, pattern in enumerate(compiled) if pattern.fullmatch(name)), None)
    if index is not None:
      found[name] = index
    elif cover:
      raise UserError(f"{key}: none matches parameter {name!r}: add one, e.g. ('.*', P())")
  for index, pattern in enumerate(patterns):
    if index not in found.values():
      raise UserError(_dead(pattern, compiled[index], names, key))
  return found


def _dead(pattern: str, compiled: re.Pattern[str], names: Sequence[str], key: str) -> str:
  shadowed = [name for name in names if compiled.fullmatch(name)]
  if shadowed:
    return (
        f"{key}: {pattern!r} is never used: earlier patterns take all it matches, e.g. "
        f"{shadowed[0]!r}: remove it or move it up"
    )
  inside = [name for name in names if compiled.search(name)]
  near = inside or difflib.get_close_matches(re.sub(r"[^\w/]+", "", pattern), names, n=3, cutoff=0)
  return (
      f"{key}: {pattern!r} matches no parameter (patterns match whole paths); "
      f"near: {', '.join(near[:3])}"
  )


def param_shardings(abstract: Tree, rules: Rules, mesh: Mesh) -> Tree:
  """The sharding of every parameter: the spec of the first rule that matches its path.

  Args:
    abstract: tree of anything with a shape.
    rules: (regex over the whole path, PartitionSpec or Fsdp) pairs.
    mesh: the axes that the specs name.

  Raises:
    UserError: a parameter no rule matches, a rule that matches nothing, or a spec that does not fit
      the parameter's shape; naming it.
  """
  patterns = [pattern for pattern, _ in rules]
  found = first_matches(patterns, list(named_leaves(abstract)), "sharding rules", cover=True)

  def sharding(path: Sequence[Any], leaf: Any) -> NamedSharding:
    name = path_name(path)
    shape, spec = tuple(leaf.shape), rules[found[name]][1]
    if isinstance(spec, Fsdp):
      spec = spec.spec(shape, mesh)
    _check_spec(name, shape, spec, mesh)
    return NamedSharding(mesh, spec)

  return jax.tree_util.tree_map_with_path(sharding, abstract)


def _check_spec(name: str, shape: tuple[int, ...], spec: PartitionSpec, mesh: Mesh) -> None:
  where = f"sharding rules: {spec} for {name!r} of shape {shape}"
  if len(spec) > len(shape):
    raise UserError(f"{where}: has more dimensions than the parameter: shorten it")
  for size, entry in zip(shape, spec, strict=False):  # A spec may be shorter: the rest is whole.
    axes = () if entry is None else (entry,) if isinstance(entry, str) else entry
    unknown = [axis for axis in axes if axis not in mesh.shape]
    if unknown:
      raise UserError(f"{where}: the mesh has no axis {unknown[0]!r}: use {' or '.join(AXES)}")
    parts = math.prod(mesh.shape[axis] for axis in axes)
    if size % parts:
      raise UserError(f"{where}: {size} does not divide over {parts} devices: shard another one")


def mirrored_shardings(abstract: Tree, params: Any, shardings: Any, mesh: Mesh) -> Tree:
  """Shardings of a tree that holds copies of the parameters, such as an optimizer's state.

  A leaf whose path ends in a parameter's path and that has its shape (a moment, a moving average)
  lives where the parameter lives; all others (counters, factored moments) are on every device.
  """
  homes = named_leaves(shardings)
  known = {name: (tuple(leaf.shape), homes[name]) for name, leaf in named_leaves(params).items()}

  def sharding(path: Sequence[Any], leaf: Any) -> NamedSharding:
    for start in range(len(path)):  # Longest ending first: "a/kernel" before "kernel".
      shape, found = known.get(path_name(path[start:]), (None, None))
      if found is not None and shape == tuple(leaf.shape):
        return found
    return replicated(mesh)

  return jax.tree_util.tree_map_with_path(sharding, abstract)


def to_global(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
  """Puts this process's rows of a batch on its devices, as parts of global arrays.

  Args:
    batch: arrays whose first dimension is this process's share of the global batch, the parts of
      `batch_places`.
    mesh: the global mesh.

  Raises:
    UserError: the rows do not divide over the devices.
  """
  sharding = batch_sharding(mesh)
  local = len(mesh.local_devices)
  for name, rows in batch.items():
    if len(rows) % local:
      raise UserError(
          f"batch: {name!r}: {len(rows)} rows do not divide over {local} devices: change the rows"
      )
  return jax.make_array_from_process_local_data(sharding, dict(batch))
