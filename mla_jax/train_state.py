"""The state of training, how it is born and stepped. Its randomness is folded from (seed, step)."""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import numpy as np
import optax

from mla_jax import sharding

Params = Any  # Nested dicts of arrays.


@flax.struct.dataclass
class TrainState:
  """Everything a resumed run needs beside its config and data.

  Attributes:
    step: int32 scalar, updates done so far.
    params: the parameters.
    opt_state: state of the optax transformation.
    ema_params: moving average of the parameters, or None when it is off.
  """

  step: jax.Array
  params: Params
  opt_state: optax.OptState
  ema_params: Params | None

  @property
  def eval_params(self) -> Params:
    """What to evaluate: the moving average where there is one."""
    return self.params if self.ema_params is None else self.ema_params


def abstract_train_state(
    init_fn: Callable[[], Params],
    tx: optax.GradientTransformation,
    mesh: Mesh,
    rules: sharding.Rules = sharding.REPLICATED,
    *,
    ema: bool = False,
) -> TrainState:
  """The state as `jax.ShapeDtypeStruct`s with their shardings; nothing is allocated.

  Args:
    init_fn: makes the parameters; traced, never run.
    tx: the optimizer.
    mesh: where the state will live.
    rules: sharding rules over parameter paths.
    ema: whether to keep a moving average.

  Raises:
    UserError: from the rules, see `sharding.param_shardings`.
  """
  abstract = jax.eval_shape(_state_fn(init_fn, tx, ema))
  of_params = sharding.param_shardings(abstract.params, rules, mesh)
  shardings = TrainState(
      step=sharding.replicated(mesh),  # type: ignore[arg-type]
      params=of_params,
      opt_state=sharding.mirrored_shardings(abstract.opt_state, abstract.params, of_params, mesh),
      ema_params=of_params if ema else None,
  )
  return jax.tree.map(
      lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where),
      abstract,
      shardings,
  )


def create_train_state(
    init_fn: Callable[[], Params],
    tx: optax.GradientTransformation,
    mesh: Mesh,
    rules: sharding.Rules = sharding.REPLICATED,
    *,
    ema: bool = False,
) -> TrainState:
  """The state at step 0, every array born on the devices where its rule puts it.

  Arguments and errors are those of `abstract_train_state`.
  """
  abstract = abstract_train_state(init_fn, tx, mesh, rules, ema=ema)
  return _creation(init_fn, tx, abstract)()


def replace_params(state: TrainState, values: Mapping[str, np.ndarray]) -> TrainState:
  """A new state with some parameters, and their moving averages, set to `values` by path "a/b/c".

  The state of the optimizer stays: that of a new state depends on no parameter's value.
  """

  def replaced(path: Any, leaf: jax.Array) -> jax.Array:
    value = values.get(sharding.path_name(path))
    if value is None:
      return leaf
    # Never an alias: a step hands the memory of the old parameters to the new ones.
    return jax.device_put(value.astype(leaf.dtype), leaf.sharding, may_alias=False)

  params, ema_params = (
      jax.tree_util.tree_map_with_path(replaced, tree) for tree in (state.params, state.ema_params)
  )
  return dataclasses.replace(state, params=params, ema_params=ema_params)


def state_shardings(abstract: TrainState) -> TrainState:
  """The shardings of an abstract or real state, e.g. for `jit(..., out_shardings=...)`."""
  return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def _creation(
    init_fn: Callable[[], Params], tx: optax.GradientTransformation, abstract: TrainState
) -> jax.stages.Wrapped:
  """Makes each leaf in its parts: none is ever whole on a device that shall not hold it."""
  ema = abstract.ema_params is not None
  return jax.jit(_state_fn(init_fn, tx, ema), out_shardings=state_shardings(abstract))


def _state_fn(
    init_fn: Callable[[], Params], tx: optax.GradientTransformation, ema: bool
) -> Callable[[], TrainState]:

  def create() -> TrainState:
    params = init_fn()
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=tx.init(params),
        ema_params=jax.tree.map(jnp.copy, params) if ema else None,
    )

  return create


def apply_gradients(
    state: TrainState,
    grads: Params,
    tx: optax.GradientTransformation,
    ema_decay: float = 0.0,
    *,
    ema_warmup: bool = True,
) -> TrainState:
  """One update of the optimizer and of the moving average.

  Args:
    state: before the step.
    grads: like `state.params`.
    tx: the optimizer that made `state.opt_state`.
    ema_decay: of the moving average, used where the state has one.
    ema_warmup: decay with min(ema_decay, (1 + t) / (10 + t)) at update t = 0, 1, ..., so that the
      random start is forgotten early (as tf.train.ExponentialMovingAverage does).
  """
  updates, opt_state = tx.update(grads, state.opt_state, state.params)
  params = optax.apply_updates(state.params, updates)
  ema_params = state.ema_params
  if ema_params is not None:
    decay = jnp.asarray(ema_decay, jnp.float32)
    if ema_warmup:
      decay = jnp.minimum(decay, (1.0 + state.step) / (10.0 + state.step))
    ema_params = jax.tree.map(
        lambda old, new: old + (1.0 - decay).astype(old.dtype) * (new - old), ema_params, params
    )
  return dataclasses.replace(
      state, step=state.step + 1, params=params, opt_state=opt_state, ema_params=ema_params
  )


def step_norms(grads: Params, before: TrainState, after: TrainState) -> dict[str, jax.Array]:
  """Global L2 norms, float32 scalars, to log: of the gradient, the parameters and their change."""
  change = jax.tree.map(lambda new, old: new - old, after.params, before.params)
  return {
      "gradient_norm": global_norm(grads),
      "param_norm": global_norm(after.params),
      "update_norm": global_norm(change),
  }


def global_norm(tree: Any) -> jax.Array:
  """L2 norm over all leaves of a tree, in float32."""
  squares = [jnp.sum(jnp.square(leaf.astype(jnp.float32))) for leaf in jax.tree.leaves(tree)]
  return jnp.sqrt(sum(squares, jnp.zeros((), jnp.float32)))
