"""With dropout the parts of a batch are embedded twice with the same randomness, for every task."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import pytest

from mla_jax.models import build
from mla_jax.tasks.registry import make_task
from tests import accumulated
from tests.accumulated import DEVICES, MESH
from tests.models import tiny

PARTS = 2
DROPOUT = {"model.dropout": 0.3, "model.text.token_dropout": 0.2}
STACKED = {"model.scan": True, "model.remat": "full"}
# Heads and fusion are left: one task shows what stacks do, and the others compile faster without.
FEWER = {"model.video.temporal_layers": 0, "model.text.layers": 0}


@pytest.mark.parametrize(("task", "changes"), accumulated.TASKS)
def test_both_passes_draw_the_same(task: str, changes: dict[str, Any]) -> None:
  stacks = STACKED if task == "retrieval" else FEWER
  config = accumulated.config(task, DROPOUT | stacks | changes)
  batch, rng = accumulated.batch(8), jax.random.key(3)
  parts, params = accumulated.function(config, PARTS)
  found = parts(params, accumulated.on_mesh(batch), rng)
  whole = tiny.params(build.build_model(config.model))
  accumulated.assert_same(found, _reference(config)(whole, batch, rng))
  other = parts(params, accumulated.on_mesh(batch), jax.random.key(4))
  assert abs(float(other[0][0] - found[0][0])) > 1e-4  # Dropout was on.


def _reference(config: ConfigDict) -> Any:
  """Embeds the parts side by side, each with its randomness, and differentiates it all at once."""
  model, task = build.build_model(config.model), make_task(config)

  @jax.jit
  @functools.partial(jax.value_and_grad, has_aux=True)
  def loss(params: Any, batch: Any, rng: jax.Array) -> Any:
    rngs = jnp.stack([jax.random.fold_in(rng, number) for number in range(PARTS)])
    embedded = jax.vmap(functools.partial(task.embed, model, params))(_parts(batch), rngs)
    return task.loss_of(model, params, _in_order(embedded), batch, MESH)

  return loss


def _parts(batch: Any) -> Any:
  """[PARTS, R / PARTS, ...]: of eight rows the first part has 0, 1, 4, 5, two of each device."""

  def split(leaf: jax.Array) -> jax.Array:
    halves = jnp.split(leaf, DEVICES)
    return jnp.stack([
        jnp.concatenate([jnp.split(half, PARTS)[part] for half in halves]) for part in range(PARTS)
    ])

  return jax.tree.map(split, batch)


def _in_order(embedded: Any) -> Any:
  """`_parts` undone, of what has one or several entries a row."""

  def join(leaf: jax.Array) -> jax.Array:
    pieces = [jnp.split(part, DEVICES) for part in leaf]
    return jnp.concatenate([piece[device] for device in range(DEVICES) for piece in pieces])

  return jax.tree.map(join, embedded)
