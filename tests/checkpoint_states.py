"""A small state to save, what it is restored into, and checkpoints of some steps."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import optax

from mla_jax import sharding, train_state
from mla_jax.checkpoints import Checkpointer
from mla_jax.train_state import TrainState

CONFIG = {"name": "demo", "model": {"width": 8, "layers": (1, 2)}}
META = {"config": CONFIG, "code_version": "0.1.0", "data_fingerprint": {"media": "abc"}}
TX = optax.adamw(1e-2)


def init(width: int = 8) -> dict[str, Any]:
  key = jax.random.key(1)
  return {
      "dense": {"kernel": jax.random.normal(key, (4, width)), "bias": jnp.zeros(width)},
      "half": jnp.ones((3,), jnp.bfloat16) / 3,
  }


def make_mesh(devices: int = 1, fsdp: int = 1) -> jax.sharding.Mesh:
  return sharding.make_mesh(ConfigDict({"data": -1, "fsdp": fsdp}), jax.devices()[:devices])


def abstract(
    mesh: jax.sharding.Mesh | None = None,
    *,
    width: int = 8,
    rules: sharding.Rules = sharding.REPLICATED,
    ema: bool = True,
) -> TrainState:
  mesh = mesh or make_mesh()
  return train_state.abstract_train_state(lambda: init(width), TX, mesh, rules, ema=ema)


def make_state(step: int = 0, mesh: jax.sharding.Mesh | None = None, **kwargs: Any) -> TrainState:
  state = train_state.create_train_state(init, TX, mesh or make_mesh(), ema=True, **kwargs)
  compiled = jax.jit(update)
  for _ in range(step):
    state = compiled(state)
  return state


def update(state: TrainState) -> TrainState:
  return train_state.apply_gradients(state, jax.tree.map(jnp.sin, state.params), TX, 0.9)


def assert_same(found: TrainState, expected: TrainState) -> None:
  pairs = zip(
      sharding.named_leaves(found).items(), sharding.named_leaves(expected).values(), strict=True
  )
  for (name, left), right in pairs:
    assert left.dtype == right.dtype, name
    np.testing.assert_array_equal(np.asarray(left), np.asarray(right), err_msg=name)


def save_steps(
    directory: pathlib.Path, scores: list[float | None], *, keep_last: int = 2
) -> list[int]:
  state = make_state()
  with Checkpointer(directory, keep_last=keep_last, metric="score") as saved:
    for step, score in enumerate(scores, start=1):
      saved.save(step, state, {} if score is None else {"score": score}, META)
    return saved.all_steps()
