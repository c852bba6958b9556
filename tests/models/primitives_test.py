import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.models import primitives


def test_masked_softmax_is_stable_and_blind_to_padding() -> None:
  logits = jnp.array([[1e4, 1e4 - 1.0, 5e4], [-1e4, -2e4, np.nan], [1.0, 2.0, 3.0]])
  mask = jnp.array([[True, True, False], [True, True, False], [False, False, False]])
  one = 1.0 / (1.0 + np.exp(-1.0))
  expected = [[one, 1.0 - one, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
  np.testing.assert_allclose(primitives.masked_softmax(logits, mask), expected, atol=1e-6)


def test_masked_softmax_has_finite_gradients_where_nothing_is_real() -> None:
  mask = jnp.array([[False, False], [True, True]])
  gradient = jax.grad(lambda x: (primitives.masked_softmax(x, mask) ** 2).sum())(jnp.ones((2, 2)))
  np.testing.assert_array_equal(gradient, np.zeros((2, 2)))


def test_layer_norm_equals_numpy_and_is_float32_inside() -> None:
  x = np.random.default_rng(0).normal(3.0, 2.0, size=(4, 6, 32)).astype(np.float32)
  variables = {"params": {"scale": jnp.arange(32.0), "bias": jnp.ones(32)}}
  expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  expected = expected * np.arange(32.0) + 1.0
  actual = primitives.LayerNorm().apply(variables, x)
  np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
  # A mean of 1000 would swallow the variance in bfloat16.
  coarse = jnp.asarray(1000.0 + 8.0 * (x > 3.0), jnp.bfloat16)
  variables = {"params": {"scale": jnp.ones(32), "bias": jnp.zeros(32)}}
  half = primitives.LayerNorm(jnp.bfloat16).apply(variables, coarse)
  assert half.dtype == jnp.bfloat16
  full = primitives.LayerNorm().apply(variables, coarse.astype(jnp.float32))
  np.testing.assert_allclose(half.astype(np.float32), full, rtol=1e-2)


def test_what_channels_are_standardised_by_is_not_trained() -> None:
  x = np.random.default_rng(1).normal(size=(3, 2, 5)).astype(np.float32)
  module = primitives.Standardised()
  born = module.init(jax.random.key(0), x)["params"]
  np.testing.assert_array_equal(module.apply({"params": born}, x), x)
  params = {"mean": np.arange(5, dtype=np.float32), "spread": np.full(5, 4.0, np.float32)}
  np.testing.assert_allclose(
      module.apply({"params": params}, x), (x - np.arange(5)) / 4.0, rtol=1e-6
  )

  def loss(params: dict[str, np.ndarray]) -> jax.Array:
    return jnp.sum(jnp.square(jnp.asarray(module.apply({"params": params}, x))))

  gradients = jax.grad(loss)(params)
  assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients))
  half = primitives.Standardised(jnp.bfloat16).apply({"params": params}, x)
  assert half.dtype == jnp.bfloat16


@pytest.mark.parametrize(("inputs", "features"), [(3, 7), (7, 3), (4, 4), (1, 1), (5, 1)])
def test_matmul_has_the_gradients_of_a_product(inputs: int, features: int) -> None:
  rng = np.random.default_rng(0)
  x, kernel, gradient = (
      rng.normal(size=shape) for shape in ((2, 5, inputs), (inputs, features), (2, 5, features))
  )
  y, backward = jax.vjp(primitives.matmul, jnp.float32(x), jnp.float32(kernel))
  x_gradient, kernel_gradient = backward(jnp.float32(gradient))
  np.testing.assert_allclose(y, x @ kernel, atol=1e-5)
  np.testing.assert_allclose(x_gradient, gradient @ kernel.T, atol=1e-5)
  expected = sum(np.outer(x[i, j], gradient[i, j]) for i, j in np.ndindex(2, 5))
  np.testing.assert_allclose(kernel_gradient, expected, atol=1e-5)


def test_random_bits_look_random() -> None:
  shape = (256, 512)
  draws = [np.asarray(primitives.random_bits(jax.random.key(seed), shape)) for seed in (0, 1)]
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
  drop = primitives.Dropout(0.3, shared=shared)
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
    return primitives.Dropout(0.5).apply({}, x, train=True, rngs=rngs)

  gradient = jax.grad(lambda x: dropped(x).sum())(x)
  np.testing.assert_allclose(gradient, dropped(x) / x, rtol=1e-6)
