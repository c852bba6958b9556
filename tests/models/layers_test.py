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


@pytest.mark.parametrize("scan", [False, True])
def test_remat_equals_plain_in_value_and_gradient_with_dropout(scan: bool) -> None:
  inputs = _stack_inputs()
  plain = layers.Common(width=8, dropout=0.3, scan=scan)
  shapes = jax.eval_shape(_Stack(plain).init, jax.random.key(0), *inputs)
  params = _random_like(shapes["params"])
  value, gradient = _value_and_grad(plain, params, inputs, jax.random.key(1))
  remat = layers.Common(width=8, dropout=0.3, scan=scan, remat="full")
  other_value, other_gradient = _value_and_grad(remat, params, inputs, jax.random.key(1))
  np.testing.assert_allclose(other_value, value, rtol=1e-5)
  tiny.assert_close(other_gradient, gradient, atol=1e-4, rtol=1e-4)
  other_value, _ = _value_and_grad(remat, params, inputs, jax.random.key(2))
  assert abs(other_value - value) > 1e-3 * abs(value)  # Dropout was on.
