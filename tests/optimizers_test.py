from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import optax
import pytest

from configs import common
from mla_jax import optimizers, sharding
from mla_jax.errors import UserError


def _config(**changes: Any) -> ConfigDict:
  config = common.optimizer()
  config.no_decay = (".*(bias|log_scale)",)
  config.warmup_steps = 0
  with config.unlocked():
    for key, value in changes.items():
      setattr(config, key, value)
  return config


def _params() -> dict[str, Any]:
  rng = np.random.default_rng(0)
  return {
      "video": {"kernel": rng.normal(size=(4, 3)).astype(np.float32), "bias": np.ones(3, "f")},
      "text": {"kernel": rng.normal(size=(5, 2)).astype(np.float32)},
      "log_scale": np.asarray(2.0, np.float32),
  }


def _grads(params: Any, step: int) -> Any:
  return jax.tree.map(lambda leaf: np.sin(3 * leaf + step).astype(np.float32), params)


def _run(config: ConfigDict, steps: int, total: int) -> tuple[Any, Any]:
  params = jax.tree.map(jnp.asarray, _params())
  tx, _ = optimizers.make_optimizer(config, params, total)
  state = tx.init(params)
  update = jax.jit(tx.update)
  for step in range(steps):
    updates, state = update(_grads(jax.device_get(params), step), state, params)
    params = optax.apply_updates(params, updates)
  return jax.device_get(params), state


def _rate(config: ConfigDict, step: int, total: int) -> float:
  """The documented schedule in plain Python."""
  warmup = config.warmup_steps
  if step < warmup:
    return config.learning_rate * (step + 1) / warmup
  progress = (step - warmup) / (total - warmup)
  left = {
      "cosine": (1 + np.cos(np.pi * progress)) / 2, "linear": 1 - progress, "constant": 1.0,
  }[config.schedule]
  final = config.final_lr_fraction
  return config.learning_rate * (final + (1 - final) * left)


def _numpy_adamw(config: ConfigDict, steps: int, total: int) -> dict[str, np.ndarray]:
  """Loshchilov & Hutter's algorithm 2 in float64, with clipping by the global norm before it."""
  params = {k: v.astype(np.float64) for k, v in sharding.named_leaves(_params()).items()}
  first = {k: np.zeros_like(v) for k, v in params.items()}
  second = {k: np.zeros_like(v) for k, v in params.items()}
  factors = {"video/kernel": 0.1, "video/bias": 0.1}
  for step in range(steps):
    grads = {k: np.sin(3 * v.astype(np.float32) + step) for k, v in params.items()}
    norm = np.sqrt(sum(np.sum(g.astype(np.float64) ** 2) for g in grads.values()))
    for key, grad in grads.items():
      if config.clip_norm and norm > config.clip_norm:
        grad = grad / norm * config.clip_norm
      first[key] = config.b1 * first[key] + (1 - config.b1) * grad
      second[key] = config.b2 * second[key] + (1 - config.b2) * grad**2
      mean = first[key] / (1 - config.b1 ** (step + 1))
      square = second[key] / (1 - config.b2 ** (step + 1))
      direction = mean / (np.sqrt(square) + 1e-8)
      if key.endswith("kernel"):
        direction = direction + config.weight_decay * params[key]
      rate = _rate(config, step, total) * factors.get(key, 1.0)
      params[key] = params[key] - rate * direction
  return params


@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_adamw_equals_numpy(clip_norm: float) -> None:
  config = _config(
      warmup_steps=5, learning_rate=1e-2, weight_decay=0.3, clip_norm=clip_norm,
      final_lr_fraction=0.1, lr_multipliers=(("video/.*", 0.1), (".*/kernel", 1.0)),
  )
  found, _ = _run(config, steps=30, total=40)
  for name, expected in _numpy_adamw(config, steps=30, total=40).items():
    np.testing.assert_allclose(
        sharding.named_leaves(found)[name], expected, rtol=2e-5, atol=2e-6, err_msg=name
    )


@given(
    schedule=st.sampled_from(sorted(optimizers.SCHEDULES)),
    total=st.integers(1, 300),
    warmup=st.integers(0, 299),
    final=st.floats(0, 1),
)
def test_schedule_equals_plain_python(
    schedule: str, total: int, warmup: int, final: float
) -> None:
  warmup = min(warmup, total - 1)
  config = _config(schedule=schedule, warmup_steps=warmup, final_lr_fraction=final)
  settings = optimizers.Settings.from_config(config)
  # One shape for all examples, so that they share what is compiled.
  found = np.asarray(optimizers.make_schedule(settings, total)(np.arange(300)))[:total]
  expected = [_rate(config, step, total) for step in range(total)]
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-9)


def test_schedule_touches_its_corners() -> None:
  settings = optimizers.Settings.from_config(_config(warmup_steps=10, learning_rate=0.5))
  rate = optimizers.make_schedule(settings, 110)
  assert float(rate(0)) == pytest.approx(0.05)  # No update is wasted at rate 0.
  assert float(rate(9)) == float(rate(10)) == 0.5
  assert float(rate(60)) == pytest.approx(0.25)
  assert float(rate(110)) == float(rate(1000)) == 0.0


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_every_optimizer_descends(name: str) -> None:
  decay = 0.0 if name in optimizers.WITHOUT_DECAY else 0.01
  config = _config(name=name, weight_decay=decay, learning_rate=0.02, schedule="constant")
  params = jax.tree.map(jnp.asarray, _params())
  tx, _ = optimizers.make_optimizer(config, params, 60)

  def loss(params: Any) -> jax.Array:
    return sum((jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params)), jnp.zeros(()))

  @jax.jit
  def step(params: Any, state: Any) -> tuple[Any, Any]:
    updates, state = tx.update(jax.grad(loss)(params), state, params)
    return optax.apply_updates(params, updates), state

  state, start = tx.init(params), float(loss(params))
  for _ in range(50):
    params, state = step(params, state)
  assert float(loss(params)) < 0.9 * start


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_decay_shrinks_only_what_it_should(name: str) -> None:
  if name in optimizers.WITHOUT_DECAY:
    pytest.skip("has no decay")
  with_decay, without = (
      _run(_config(name=name, weight_decay=decay, clip_norm=0.0), steps=1, total=10)[0]
      for decay in (0.5, 0.0)
  )
  same = {
      key: np.array_equal(a, b)
      for (key, a), b in zip(
          sharding.named_leaves(with_decay).items(), jax.tree.leaves(without), strict=True
      )
  }
  assert same == {
      "log_scale": True, "text/kernel": False, "video/bias": True, "video/kernel": False,
  }


def test_adam_is_adamw_without_decay() -> None:
  adam, _ = _run(_config(name="adam", weight_decay=0.0), steps=5, total=10)
  adamw, _ = _run(_config(name="adamw", weight_decay=0.0), steps=5, total=10)
  jax.tree.map(np.testing.assert_array_equal, adam, adamw)


def test_frozen_parameters_stay_and_take_no_memory() -> None:
  config = _config(freeze=("video/.*", "log_scale"), clip_norm=0.0, weight_decay=0.1)
  params, state = _run(config, steps=5, total=10)
  free, full = _run(_config(clip_norm=0.0, weight_decay=0.1), steps=5, total=10)
  np.testing.assert_array_equal(params["video"]["kernel"], _params()["video"]["kernel"])
  np.testing.assert_array_equal(params["log_scale"], _params()["log_scale"])
  np.testing.assert_array_equal(params["text"]["kernel"], free["text"]["kernel"])
  names = [name for name, leaf in sharding.named_leaves(state).items() if leaf.ndim]
  assert len(names) == 2  # Both moments of text/kernel.
  assert all(name.endswith("text/kernel") for name in names)
  assert sum(leaf.ndim > 0 for leaf in jax.tree.leaves(full)) == 6


def test_the_model_freezes_beside_the_config() -> None:
  """The same parameter twice is no error; a pattern of the model's that matches nothing is."""
  config = _config(freeze=("video/.*",))
  tx, _ = optimizers.make_optimizer(config, _params(), 10, ("video/bias|log_scale",))
  grads = jax.tree.map(jnp.ones_like, _params())
  updates, _ = tx.update(grads, tx.init(_params()), _params())
  moved = {name for name, leaf in sharding.named_leaves(updates).items() if np.any(leaf)}
  assert moved == {"text/kernel"}
  with pytest.raises(UserError, match=r"model.text.frozen_layers: 'none' matches no parameter"):
    optimizers.make_optimizer(config, _params(), 10, ("none",))


def test_clipping_sees_only_what_is_trained() -> None:
  config = _config(
      name="sgd", b1=0.0, weight_decay=0.0, learning_rate=1.0, schedule="constant",
      freeze=("video/.*", "log_scale"), clip_norm=0.01,
  )
  params, _ = _run(config, steps=1, total=2)
  change = params["text"]["kernel"] - _params()["text"]["kernel"]
  assert np.linalg.norm(change) == pytest.approx(0.01, rel=1e-3)


def test_the_first_multiplier_wins() -> None:
  changes = {"name": "sgd", "b1": 0.0, "weight_decay": 0.0, "clip_norm": 0.0}
  plain, _ = _run(_config(**changes), steps=1, total=2)
  multiplied, _ = _run(
      _config(lr_multipliers=(("video/kernel", 0.0), ("video/.*", 2.0)), **changes),
      steps=1, total=2,
  )
  start = _params()
  np.testing.assert_array_equal(multiplied["video"]["kernel"], start["video"]["kernel"])
  np.testing.assert_array_equal(multiplied["text"]["kernel"], plain["text"]["kernel"])
  np.testing.assert_allclose(
      multiplied["video"]["bias"] - start["video"]["bias"],
      2 * (plain["video"]["bias"] - start["video"]["bias"]), atol=2e-7,
  )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "adanw"}, "optimizer.name='adanw': unknown: did you mean 'adamw'"),
        ({"schedule": "cosin"}, "optimizer.schedule='cosin': unknown: did you mean 'cosine'"),
        ({"learning_rate": -1.0}, "optimizer.learning_rate=-1.0: must be"),
        ({"learning_rate": float("nan")}, "optimizer.learning_rate=nan"),
        ({"clip_norm": float("inf")}, "optimizer.clip_norm=inf"),
        ({"b1": 1.0}, "optimizer.b1=1.0: must be from 0 to below 1"),
        ({"ema_decay": 1.5}, "optimizer.ema_decay=1.5"),
        ({"final_lr_fraction": 2.0}, "optimizer.final_lr_fraction=2.0"),
        ({"warmup_steps": 100}, "optimizer.warmup_steps=100: must be less than train.steps=100"),
        ({"name": "adam"}, "optimizer.weight_decay=0.05: adam has none"),
        ({"freeze": ("vidio/.*",)}, "optimizer.freeze: 'vidio/.*' matches no parameter"),
        ({"freeze": (".*",)}, "freezes every parameter"),
        ({"no_decay": (".*/biass",)}, "optimizer.no_decay: '.*/biass' matches no .*video/bias"),
        ({"lr_multipliers": (("head", 0.1),)}, "optimizer.lr_multipliers: 'head' matches no"),
        ({"lr_multipliers": (("video/.*", -0.1),)}, "optimizer.lr_multipliers: .* factor >= 0"),
        ({"lr_multipliers": ("video",)}, "optimizer.lr_multipliers: 'video' must be a"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(changes: dict[str, Any], message: str) -> None:
  with pytest.raises(UserError, match=message) as found:
    optimizers.make_optimizer(_config(**changes), _params(), 100)
  assert "\n" not in str(found.value)
