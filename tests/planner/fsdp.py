"""A gradient with FSDP whose traffic can be worked out by hand, compiled for devices not here."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from mla_jax import sharding
from mla_jax.planner import hlo, report
from mla_jax.planner.topology import Target

LAYERS, WIDTH = 3, 1024
P = PartitionSpec


def moved(target: Target, data: int, fsdp: int, *, looped: bool) -> dict[str, int]:
  """Bytes by kind that the planner reads off the compiled gradient of a few layers.

  Args:
    target: of the devices.
    data, fsdp: of the mesh.
    looped: the kernels are one stack, [LAYERS, WIDTH, WIDTH], and a loop goes over the layers.
  """
  mesh = sharding.make_mesh(ConfigDict({"data": data, "fsdp": fsdp}), target.devices)
  stack = (LAYERS,) if looped else ()
  split = NamedSharding(mesh, P(*(None for _ in stack), None, "fsdp"))
  kernel = jax.ShapeDtypeStruct((*stack, WIDTH, WIDTH), jnp.float32, sharding=split)
  kernels = kernel if looped else [kernel] * LAYERS
  x = jax.ShapeDtypeStruct(
      (WIDTH, WIDTH), jnp.float32, sharding=NamedSharding(mesh, P(("data", "fsdp")))
  )
  gradient = jax.jit(jax.grad(_loss), out_shardings=jax.tree.map(lambda _: split, kernels))
  compiled = gradient.lower(kernels, x).compile(compiler_options=dict(target.options))
  totals = report.collective_totals(hlo.collectives(compiled.as_text()))
  return {kind: total["bytes"] for kind, total in totals.items()}


def needed(data: int, fsdp: int, *, gathers: int, itemsize: int) -> dict[str, int]:
  """What it must move, by the shapes alone.

  Args:
    data, fsdp: of the mesh.
    gathers: how often each kernel is gathered.
    itemsize: bytes of each of its numbers then; gradients are summed in float32.
  """
  numbers = LAYERS * WIDTH * WIDTH
  least = {"all-gather": gathers * numbers * itemsize, "reduce-scatter": 4 * numbers}
  return least | ({"all-reduce": 4 * numbers // fsdp} if data > 1 else {})


def _loss(kernels: Any, x: jax.Array) -> jax.Array:
  def layer(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, None]:
    return jnp.tanh(x @ kernel), None

  if isinstance(kernels, list):
    last = functools.reduce(lambda x, kernel: layer(x, kernel)[0], kernels, x)
  else:
    last, _ = jax.lax.scan(layer, x, kernels)
  return jnp.mean(last**2)
