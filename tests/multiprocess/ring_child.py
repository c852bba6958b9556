"""One process of a job that computes losses: they and their gradients go whole into a file.

  python -m tests.multiprocess.ring_child IMPL LOSS,LOSS OUT [COORDINATOR PROCESSES NUMBER]
"""

import dataclasses
import sys

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from mla_jax import processes, sharding
from mla_jax.losses.types import Side
from tests.losses import ring_test


def main(
    impl: str, losses: str, out: str, coordinator: str = "", count: str = "1", number: str = "0"
) -> None:
  if coordinator:
    processes.join(coordinator, int(count), int(number), found=False)
  mesh = _interleaved(sharding.make_mesh(ConfigDict({"data": -1, "fsdp": 2})))
  found = {
      f"{name}/{what}": value
      for name in losses.split(",")
      for what, value in _evaluate(name, impl, mesh).items()
  }
  if processes.is_first():
    np.savez(out, **found)


def _evaluate(name: str, impl: str, mesh: jax.sharding.Mesh) -> dict[str, np.ndarray]:
  """Loss, metrics and gradients; every process brings the rows of its devices alone."""
  batch, extra = ring_test.make_batch(name, seed=3, real=0.8)
  whole = {
      side: {"embedding": x.embedding, "mask": x.mask, "key": x.key}
      for side, x in zip(("video", "text"), batch.sides(), strict=True)
  } | ({"extra": extra} if extra else {})
  mine = jax.tree.map(lambda x: _share(np.asarray(x), mesh), whole)
  placed = {side: sharding.to_global(fields, mesh) for side, fields in mine.items()}
  loss = ring_test.loss_function(name, impl=impl, mesh=mesh, block=ring_test.block(name))
  scalars = {"log_scale": jnp.float32(np.log(ring_test.SCALE))}
  if name in ring_test.GLOBAL:
    scalars["bias"] = jnp.float32(ring_test.BIAS)

  @jax.jit
  @jax.value_and_grad
  def value_and_grad(differentiated, rest):
    sides = [
        dataclasses.replace(Side(**rest[side]), embedding=differentiated[side])
        for side in ("video", "text")
    ]
    scalars = {key: differentiated[key] for key in differentiated if key not in rest}
    return loss(*sides, **scalars, **rest.get("extra", {})).loss

  learnt = scalars | {side: placed[side]["embedding"] for side in ("video", "text")}
  found, gradients = value_and_grad(learnt, placed)
  return processes.gather({"loss": found} | gradients, mesh)


def _interleaved(mesh: jax.sharding.Mesh) -> jax.sharding.Mesh:
  """Its devices as a pod may have them: those of a process at both ends, others between."""
  devices = mesh.devices.reshape(-1)
  return jax.sharding.Mesh(np.roll(devices, -1).reshape(mesh.devices.shape), mesh.axis_names)


def _share(rows: np.ndarray, mesh: jax.sharding.Mesh) -> np.ndarray:
  places = list(sharding.batch_places(mesh))
  return rows.reshape(mesh.size, -1, *rows.shape[1:])[places].reshape(-1, *rows.shape[1:])


if __name__ == "__main__":
  main(*sys.argv[1:])
