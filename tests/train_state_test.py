from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict
import numpy as np
import optax
import pytest

from mla_jax import sharding, train_state
from mla_jax.train_state import Params, TrainState

P = PartitionSpec
FSDP = [(".*/kernel", P("fsdp", "data")), (".*", P())]


def _init() -> Params:
  rng = jax.random.key(3)
  return {
      "a": {"kernel": jax.random.normal(rng, (8, 12)), "bias": jnp.zeros(12)},
      "log_scale": jnp.asarray(2.5),
  }


def _mesh(devices: int = 8, fsdp: int = 2) -> jax.sharding.Mesh:
  return sharding.make_mesh(ConfigDict({"data": -1, "fsdp": fsdp}), jax.devices()[:devices])


def _grads(params: Params, step: Any) -> Params:
  return jax.tree.map(lambda leaf: jnp.cos(leaf * (step + 1)), params)


def _run(mesh: jax.sharding.Mesh, rules: sharding.Rules, steps: int) -> TrainState:
  tx = optax.adamw(1e-2)
  state = train_state.create_train_state(_init, tx, mesh, rules, ema=True)
  step = jax.jit(
      lambda state: train_state.apply_gradients(state, _grads(state.params, 1), tx, 0.9),
      donate_argnums=0,
      out_shardings=train_state.state_shardings(state),
  )
  for _ in range(steps):
    state = step(state)
  return state


@pytest.mark.parametrize("ema", [False, True])
def test_abstract_state_is_the_shape_of_the_real_one(ema: bool) -> None:
  tx = optax.adamw(1e-3)
  abstract = train_state.abstract_train_state(_init, tx, _mesh(), FSDP, ema=ema)
  state = train_state.create_train_state(_init, tx, _mesh(), FSDP, ema=ema)
  assert list(sharding.named_leaves(abstract)) == list(sharding.named_leaves(state))
  assert (state.ema_params is None) == (not ema)
  for expected, found in zip(jax.tree.leaves(abstract), jax.tree.leaves(state), strict=True):
    assert (expected.shape, expected.dtype) == (found.shape, found.dtype)
    assert found.sharding.is_equivalent_to(expected.sharding, found.ndim)
  assert state.step == 0
  assert state.step.dtype == np.int32


def test_parameters_are_born_sharded() -> None:
  state = train_state.create_train_state(_init, optax.adamw(1e-3), _mesh(), FSDP, ema=True)
  moments: Any = state.opt_state[0]
  for tree in (state.params, state.eval_params, moments.mu, moments.nu):
    assert tree["a"]["kernel"].sharding.spec == P("fsdp", "data")
    assert {s.data.shape for s in tree["a"]["kernel"].addressable_shards} == {(4, 3)}
    assert tree["a"]["bias"].sharding.is_fully_replicated


def test_no_device_ever_holds_a_whole_kernel() -> None:
  size = (1024, 512)

  def init() -> dict[str, jax.Array]:
    return {"kernel": jax.random.normal(jax.random.key(0), size)}

  tx, mesh = optax.adamw(1e-3), sharding.make_mesh(ConfigDict({"data": 1, "fsdp": 8}))
  rules = [(".*", P("fsdp"))]
  abstract = train_state.abstract_train_state(init, tx, mesh, rules, ema=True)
  memory = train_state._creation(init, tx, abstract).lower().compile().memory_analysis()
  part = 4 * size[0] * size[1] // 8
  assert 4 * part <= memory.output_size_in_bytes < 5 * part  # Parameter, two moments, average.
  assert memory.temp_size_in_bytes < 4 * part  # Of a whole one it would be eight.


def test_initial_values_do_not_depend_on_the_mesh() -> None:
  expected = _init()
  for mesh, rules in ((_mesh(1, 1), sharding.REPLICATED), (_mesh(), FSDP)):
    state = train_state.create_train_state(_init, optax.sgd(0.1), mesh, rules, ema=True)
    jax.tree.map(np.testing.assert_array_equal, state.params, expected)
    jax.tree.map(np.testing.assert_array_equal, state.ema_params, expected)


@pytest.mark.parametrize("ema", [False, True])
def test_replaced_parameters_keep_their_place_and_leave_the_others(ema: bool) -> None:
  tx = optax.adamw(1e-2)
  state = train_state.create_train_state(_init, tx, _mesh(), FSDP, ema=ema)
  kernel = np.arange(96, dtype=np.float64).reshape(8, 12)
  found = train_state.replace_params(state, {"a/kernel": kernel, "log_scale": np.ones(())})
  for tree in (found.params, *((found.ema_params,) if ema else ())):
    np.testing.assert_array_equal(tree["a"]["kernel"], kernel)
    assert tree["a"]["kernel"].dtype == np.float32
    assert tree["a"]["kernel"].sharding == state.params["a"]["kernel"].sharding
    assert tree["log_scale"] == 1.0
    np.testing.assert_array_equal(tree["a"]["bias"], state.params["a"]["bias"])
  assert sharding.named_leaves(found).keys() == sharding.named_leaves(state).keys()
  jax.tree.map(np.testing.assert_array_equal, found.opt_state, state.opt_state)


def test_replaced_parameters_share_no_memory() -> None:
  """A step that consumes the state must change neither the average nor the caller's array."""
  tx = optax.sgd(0.5)
  value = np.full((8, 12), 2.0, np.float32)
  state = train_state.create_train_state(_init, tx, _mesh(1, 1), ema=True)
  state = train_state.replace_params(state, {"a/kernel": value})
  step = jax.jit(
      lambda state: train_state.apply_gradients(state, _grads(state.params, 0), tx, 0.5),
      donate_argnums=0,
  )
  found = step(state)
  after = 2.0 - 0.5 * np.cos(2.0)
  np.testing.assert_allclose(found.params["a"]["kernel"], after, rtol=1e-6)
  np.testing.assert_allclose(found.ema_params["a"]["kernel"], 0.1 * 2.0 + 0.9 * after, rtol=1e-6)
  np.testing.assert_array_equal(value, 2.0)


def test_sharded_steps_equal_single_device_steps() -> None:
  one = _run(_mesh(1, 1), sharding.REPLICATED, steps=5)
  for mesh, rules in ((_mesh(), FSDP), (_mesh(), sharding.REPLICATED)):
    many = _run(mesh, rules, steps=5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), one, many)
    assert many.step == 5
    kernel = many.params["a"]["kernel"]
    assert kernel.sharding.spec == (P("fsdp", "data") if rules is FSDP else P())


@pytest.mark.parametrize("warmup", [True, False])
def test_moving_average_is_the_recurrence(warmup: bool) -> None:
  tx = optax.sgd(0.1)
  state = train_state.create_train_state(_init, tx, _mesh(1, 1), ema=True)
  expected: Any = np.asarray(state.params["a"]["kernel"], np.float64)
  update = jax.jit(
      lambda state: train_state.apply_gradients(
          state, _grads(state.params, state.step), tx, 0.7, ema_warmup=warmup
      )
  )
  for step in range(30):
    state = update(state)
    decay = min(0.7, (1 + step) / (10 + step)) if warmup else 0.7
    expected = decay * expected + (1 - decay) * np.asarray(state.params["a"]["kernel"])
  np.testing.assert_allclose(state.eval_params["a"]["kernel"], expected, rtol=1e-5)
  assert state.eval_params is state.ema_params


def test_without_a_moving_average_the_parameters_are_evaluated() -> None:
  tx = optax.sgd(0.1)
  state = train_state.create_train_state(_init, tx, _mesh(1, 1))
  state = train_state.apply_gradients(state, _grads(state.params, 0), tx)
  assert state.ema_params is None
  assert state.eval_params is state.params


def test_update_is_gradient_descent() -> None:
  tx = optax.sgd(0.5)
  before = train_state.create_train_state(_init, tx, _mesh(1, 1))
  grads = _grads(before.params, 0)
  after = train_state.apply_gradients(before, grads, tx)
  jax.tree.map(
      lambda new, old, grad: np.testing.assert_allclose(new, old - 0.5 * grad, rtol=1e-6),
      after.params, before.params, grads,
  )
  assert after.step == 1

  def norm(tree: Params) -> float:
    return float(np.sqrt(sum(np.sum(np.square(leaf, dtype=np.float64)) for leaf in tree)))

  norms = train_state.step_norms(grads, before, after)
  np.testing.assert_allclose(norms["gradient_norm"], norm(jax.tree.leaves(grads)), rtol=1e-5)
  np.testing.assert_allclose(norms["param_norm"], norm(jax.tree.leaves(after.params)), rtol=1e-5)
  np.testing.assert_allclose(norms["update_norm"], 0.5 * norm(jax.tree.leaves(grads)), rtol=1e-5)


def test_norm_of_half_precision_does_not_overflow() -> None:
  assert float(train_state.global_norm({"x": jnp.full((4,), 300.0, jnp.float16)})) == 600.0
  assert float(train_state.global_norm({})) == 0.0
