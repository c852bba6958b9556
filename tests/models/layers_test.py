from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.models import layers
from tests.models import tiny


def _attention_reference(query, key, value, mask):
  batch, places, heads, width = query.shape
  result = np.zeros(query.shape)
  for b in range(batch):
    for h in range(heads):
      for q in range(places):
        real = np.flatnonzero(mask[b])
        if not len(real):
          continue
        logits = np.array([query[b, q, h] @ key[b, s, h] for s in real]) / np.sqrt(width)
        weights = np.exp(logits) / np.exp(logits).sum()
        result[b, q, h] = sum(w * value[b, s, h] for w, s in zip(weights, real, strict=True))
  return result


@pytest.mark.parametrize("places", [3, 5])
def test_attention_equals_loops(places: int) -> None:
  rng = np.random.default_rng(0)
  query = rng.normal(size=(3, places, 2, 4))
  key, value = rng.normal(size=(2, 3, 5, 2, 4))
  mask = np.array([[True] * 5, [True, False, True, False, False], [False] * 5])
  query32, key32, value32 = (jnp.float32(x) for x in (query, key, value))
  actual = layers.dot_product_attention(query32, key32, value32, jnp.asarray(mask))
  expected = _attention_reference(query, key, value, mask)
  np.testing.assert_allclose(actual, expected, atol=1e-6)
  assert not np.any(actual[2])


def test_masked_softmax_is_stable_and_blind_to_padding() -> None:
  logits = jnp.array([[1e4, 1e4 - 1.0, 5e4], [-1e4, -2e4, np.nan], [1.0, 2.0, 3.0]])
  mask = jnp.array([[True, True, False], [True, True, False], [False, False, False]])
  one = 1.0 / (1.0 + np.exp(-1.0))
  expected = [[one, 1.0 - one, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
  np.testing.assert_allclose(layers.masked_softmax(logits, mask), expected, atol=1e-6)


def test_masked_softmax_has_finite_gradients_where_nothing_is_real() -> None:
  mask = jnp.array([[False, False], [True, True]])
  gradient = jax.grad(lambda x: (layers.masked_softmax(x, mask) ** 2).sum())(jnp.ones((2, 2)))
  np.testing.assert_array_equal(gradient, np.zeros((2, 2)))


def test_layer_norm_equals_numpy_and_is_float32_inside() -> None:
  x = np.random.default_rng(0).normal(3.0, 2.0, size=(4, 6, 32)).astype(np.float32)
  variables = {"params": {"scale": jnp.arange(32.0), "bias": jnp.ones(32)}}
  expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  expected = expected * np.arange(32.0) + 1.0
  actual = layers.LayerNorm().apply(variables, x)
  np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
  # A mean of 1000 would swallow the variance in bfloat16.
  coarse = jnp.asarray(1000.0 + 8.0 * (x > 3.0), jnp.bfloat16)
  variables = {"params": {"scale": jnp.ones(32), "bias": jnp.zeros(32)}}
  half = layers.LayerNorm(jnp.bfloat16).apply(variables, coarse)
  assert half.dtype == jnp.bfloat16
  full = layers.LayerNorm().apply(variables, coarse.astype(jnp.float32))
  np.testing.assert_allclose(half.astype(np.float32), full, rtol=1e-2)


@pytest.mark.parametrize(("inputs", "features"), [(3, 7), (7, 3), (4, 4), (1, 1), (5, 1)])
def test_matmul_has_the_gradients_of_a_product(inputs: int, features: int) -> None:
  rng = np.random.default_rng(0)
  x, kernel, gradient = (
      rng.normal(size=shape) for shape in ((2, 5, inputs), (inputs, features), (2, 5, features))
  )
  y, backward = jax.vjp(layers.matmul, jnp.float32(x), jnp.float32(kernel))
  x_gradient, kernel_gradient = backward(jnp.float32(gradient))
  np.testing.assert_allclose(y, x @ kernel, atol=1e-5)
  np.testing.assert_allclose(x_gradient, gradient @ kernel.T, atol=1e-5)
  expected = sum(np.outer(x[i, j], gradient[i, j]) for i, j in np.ndindex(2, 5))
  np.testing.assert_allclose(kernel_gradient, expected, atol=1e-5)


def test_random_bits_look_random() -> None:
  shape = (256, 512)
  draws = [np.asarray(layers.random_bits(jax.random.key(seed), shape)) for seed in (0, 1)]
  for bit in range(32):
    assert abs(((draws[0] >> bit) & 1).mean() - 0.5) < 0.01
  kept = [(draw >= np.uint32(0.1 * 2**32)) - 0.9 for draw in draws]
  spectra = [np.fft.fft2(mask) for mask in kept]
  # No period, and no shift that turns one key's draw into another's: all below chance's largest.
  power = np.abs(spectra[0]) / np.sqrt(0.09 * kept[0].size)
  power[0, 0] = 0.0
  assert power.max() < 5.0
  crossed = np.abs(np.fft.ifft2(spectra[0] * spectra[1].conj())) / (0.09 * kept[0].size)
  assert crossed.max() < 7.0 / np.sqrt(kept[0].size)


@pytest.mark.parametrize("shared", [(), (1,)])
def test_dropout_keeps_its_share_and_the_mean(shared: tuple[int, ...]) -> None:
  x = jnp.ones((40, 6, 500))
  drop = layers.Dropout(0.3, shared=shared)
  out = np.asarray(drop.apply({}, x, train=True, rngs={"dropout": jax.random.key(0)}))
  assert abs((out == 0.0).mean() - 0.3) < 0.02
  assert abs(out.mean() - 1.0) < 0.03
  assert len(np.unique(out)) == 2
  assert np.all(out == out[:, :1]) == bool(shared)
  np.testing.assert_array_equal(drop.apply({}, x, train=False), x)


def test_dropout_gradient_is_its_mask() -> None:
  x = jnp.linspace(1.0, 2.0, 64).reshape(4, 16)

  def dropped(x: jax.Array) -> jax.Array:
    rngs = {"dropout": jax.random.key(3)}
    return layers.Dropout(0.5).apply({}, x, train=True, rngs=rngs)

  gradient = jax.grad(lambda x: dropped(x).sum())(x)
  np.testing.assert_allclose(gradient, dropped(x) / x, rtol=1e-6)


class _Stack(nn.Module):
  """A stack with a memory, the way the fusion has it."""

  common: layers.Common
  train: bool = False

  @nn.compact
  def __call__(
      self, x: jax.Array, mask: jax.Array, memory: jax.Array, memory_mask: jax.Array
  ) -> jax.Array:
    return layers.transformer(self.common, 2, 2, x, mask, memory, memory_mask, train=self.train)


def _value_and_grad(
    common: layers.Common, params: Any, inputs: tuple[np.ndarray, ...], rng: jax.Array | None = None
) -> tuple[jax.Array, Any]:
  stack = _Stack(common, train=rng is not None)

  def loss(params: Any) -> jax.Array:
    rngs = None if rng is None else {"dropout": rng}
    return jnp.sin(stack.apply({"params": params}, *inputs, rngs=rngs)).sum()

  return jax.jit(jax.value_and_grad(loss))(params)


def _stack_inputs() -> tuple[np.ndarray, ...]:
  rng = np.random.default_rng(0)
  x, memory = rng.normal(size=(2, 4, 5, 8)).astype(np.float32)
  mask, memory_mask = np.arange(5) < rng.integers(1, 6, (2, 4, 1))
  return x, mask, memory, memory_mask


def _random_like(shapes: Any) -> Any:
  rng = np.random.default_rng(1)
  return jax.tree.map(lambda x: jnp.asarray(rng.normal(0.0, 0.5, x.shape), x.dtype), shapes)


@pytest.mark.parametrize("remat", ["none", "full", "dots", "no_batch_dots"])
def test_scan_equals_unrolled_in_value_and_gradient(remat: str) -> None:
  inputs = _stack_inputs()
  plain = layers.Common(width=8)
  shapes = jax.eval_shape(_Stack(plain).init, jax.random.key(0), *inputs)
  params = _random_like(shapes["params"])
  value, gradient = _value_and_grad(plain, params, inputs)
  scanned = layers.Common(width=8, scan=True, remat=remat)
  other_value, other_gradient = _value_and_grad(scanned, tiny.stacked(params), inputs)
  np.testing.assert_allclose(other_value, value, rtol=1e-5)
  tiny.assert_close(other_gradient, tiny.stacked(gradient), atol=1e-4, rtol=1e-4)


def test_remat_equals_plain_in_value_and_gradient_with_dropout() -> None:
  inputs = _stack_inputs()
  plain = layers.Common(width=8, dropout=0.3)
  shapes = jax.eval_shape(_Stack(plain).init, jax.random.key(0), *inputs)
  params = _random_like(shapes["params"])
  value, gradient = _value_and_grad(plain, params, inputs, jax.random.key(1))
  remat = layers.Common(width=8, dropout=0.3, remat="full")
  other_value, other_gradient = _value_and_grad(remat, params, inputs, jax.random.key(1))
  np.testing.assert_allclose(other_value, value, rtol=1e-5)
  tiny.assert_close(other_gradient, gradient, atol=1e-4, rtol=1e-4)
