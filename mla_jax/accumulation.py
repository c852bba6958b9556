"""The gradient of a batch's loss at the memory of a part of it, with every negative of the whole.

A contrastive loss is no sum over micro-batches: each row is compared with all others. But it reads
nothing of a row beyond its embeddings, which are small. So (GradCache, Gao et al. 2021, arXiv
2101.06983):

1. Embed each micro-batch, and keep of it the embeddings alone.
2. The loss of all embeddings, and its gradient by them (and by what the loss reads itself: scales).
3. Embed each micro-batch again, with the same randomness, and pull the gradient of its embeddings
   back to the parameters; the sum over micro-batches is the gradient of the whole batch.

Each forward pass is done twice, as with `model.remat="full"`, which saves within a micro-batch.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mla_jax.models.mla import MLA
from mla_jax.sharding import AXES
from mla_jax.tasks.base import Batch, Embeddings, Metrics, Params, Task

Tree = TypeVar("Tree")
Part: TypeAlias = tuple[Batch, jax.Array]  # A micro-batch and its randomness.


def loss_and_gradient(
    task: Task,
    model: MLA,
    params: Params,
    batch: Batch,
    rng: jax.Array,
    *,
    mesh: Mesh,
    micro_batches: int,
    shardings: Any,
) -> tuple[tuple[jax.Array, Metrics], Params]:
  """The loss of a global batch, its metrics, and its gradient by the parameters.

  With one micro-batch this is `value_and_grad` of `task.loss`. With k of them micro-batch i, with
  the randomness `micro_rng(rng, i)`, has of every device's rows the i-th part: nothing moves.

  Args:
    task: whose loss.
    model: of the task.
    params: where the gradient is taken.
    batch: rows split over the mesh; they divide by the devices times `micro_batches`.
    rng: of the step.
    mesh: of the devices.
    micro_batches: k; 1 keeps the activations of all rows.
    shardings: of the parameters; a gradient is summed up where its parameter lives.
  """
  if micro_batches == 1:
    at_once = jax.value_and_grad(lambda p: task.loss(model, p, batch, rng, mesh), has_aux=True)
    found, grads = at_once(params)
    # Each device then sums up its own part alone, and not all of a gradient to keep a part.
    return found, jax.lax.with_sharding_constraint(grads, shardings)

  def embed(params: Params, part: Part) -> Embeddings:
    return task.embed(model, params, *part)

  def loss_of(params: Params, embeddings: Embeddings) -> tuple[jax.Array, Metrics]:
    return task.loss_of(model, params, embeddings, batch, mesh)

  rngs = jax.vmap(micro_rng, in_axes=(None, 0))(rng, jnp.arange(micro_batches))
  parts = _split(batch, micro_batches, mesh), rngs
  embeddings = _merge(jax.lax.map(lambda part: embed(params, part), parts), mesh)
  found, by_params, by_floats = _at_the_loss(loss_of, params, embeddings)
  by_params = jax.lax.with_sharding_constraint(by_params, shardings)

  def pull_back(grads: Params, part: tuple[Part, list[jax.Array]]) -> tuple[Params, None]:
    rows, by_part = part
    _, pull = jax.vjp(lambda params: _floats(embed(params, rows)), params)
    more = jax.lax.with_sharding_constraint(pull(by_part)[0], shardings)
    return jax.tree.map(jnp.add, grads, more), None

  by_parts = _split(by_floats, micro_batches, mesh)
  grads, _ = jax.lax.scan(pull_back, by_params, (parts, by_parts))
  return found, grads


def _at_the_loss(
    loss_of: Callable[[Params, Embeddings], tuple[jax.Array, Metrics]],
    params: Params,
    embeddings: Embeddings,
) -> tuple[tuple[jax.Array, Metrics], Params, list[jax.Array]]:
  """The loss and its metrics, its gradient by what it reads of the parameters, by `_floats`."""
  leaves, structure = jax.tree.flatten(embeddings)

  def of_floats(params: Params, floats: list[jax.Array]) -> tuple[jax.Array, Metrics]:
    rest = iter(floats)
    whole = [next(rest) if _is_float(leaf) else leaf for leaf in leaves]
    return loss_of(params, jax.tree.unflatten(structure, whole))

  grad = jax.value_and_grad(of_floats, argnums=(0, 1), has_aux=True)
  found, (by_params, by_floats) = grad(params, _floats(embeddings))
  return found, by_params, by_floats


def _floats(embeddings: Embeddings) -> list[jax.Array]:
  """The leaves that have a gradient; the others are masks."""
  return [leaf for leaf in jax.tree.leaves(embeddings) if _is_float(leaf)]


def micro_rng(rng: jax.Array, number: int | jax.Array) -> jax.Array:
  """The randomness of a micro-batch, from that of the step."""
  return jax.random.fold_in(rng, number)


def _is_float(leaf: jax.Array) -> bool:
  return jnp.issubdtype(leaf.dtype, jnp.floating)


def _split(tree: Tree, count: int, mesh: Mesh) -> Tree:
  """[R, ...] to [count, R / count, ...], where each device keeps the rows it has."""

  def split(leaf: jax.Array) -> jax.Array:
    by_device = leaf.reshape(mesh.size, count, -1, *leaf.shape[1:])
    parts = jnp.swapaxes(by_device, 0, 1).reshape(count, -1, *leaf.shape[1:])
    return jax.lax.with_sharding_constraint(parts, NamedSharding(mesh, PartitionSpec(None, AXES)))

  return jax.tree.map(split, tree)


def _merge(tree: Tree, mesh: Mesh) -> Tree:
  """`_split` undone."""

  def merge(parts: jax.Array) -> jax.Array:
    by_device = parts.reshape(len(parts), mesh.size, -1, *parts.shape[2:])
    leaf = jnp.swapaxes(by_device, 0, 1).reshape(-1, *parts.shape[2:])
    return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, PartitionSpec(AXES)))

  return jax.tree.map(merge, tree)
