import functools

from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from mla_jax.models import pooling


def _pool_variables(width: int, heads: int, seed: int = 0) -> dict:
  kernel = np.random.default_rng(seed).normal(size=(width, heads)).astype(np.float32)
  return {"params": {"score": {"kernel": jnp.asarray(kernel)}}}


# Compiled once a shape, not once an example.
_embed = jax.jit(
    functools.partial(pooling.AlignmentHead(embed_dim=5, heads=2).apply, train=False)
)
_members = jax.jit(pooling.segment_members, static_argnames="segments")


def test_fresh_pool_is_the_mean_of_the_members() -> None:
  states = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
  members = np.array([[[True, True, False, False, True]], [[False, True, False, False, False]]])
  pool = pooling.AttentionPool(heads=2)
  variables = pool.init(jax.random.key(0), states, members)
  pooled = pool.apply(variables, states, members)
  np.testing.assert_allclose(pooled[0, 0], states[0, [0, 1, 4]].mean(0), atol=1e-6)
  np.testing.assert_allclose(pooled[1, 0], states[1, 1], atol=1e-6)


def test_pool_equals_loops() -> None:
  rng = np.random.default_rng(1)
  states = rng.normal(size=(3, 5, 8)).astype(np.float32)
  members = rng.random((3, 4, 5)) < 0.5
  variables = _pool_variables(8, 2)
  actual = pooling.AttentionPool(heads=2).apply(variables, states, members)
  scores = states @ np.asarray(variables["params"]["score"]["kernel"])
  for b, g, h in np.ndindex(3, 4, 2):
    weights = np.exp(scores[b, :, h]) * members[b, g]
    weights = weights / weights.sum() if weights.sum() else weights
    part = slice(4 * h, 4 * h + 4)
    np.testing.assert_allclose(actual[b, g, part], weights @ states[b, :, part], atol=1e-5)


@settings(max_examples=30)
@given(
    segment=st.lists(st.integers(0, 4), min_size=6, max_size=6),
    real=st.lists(st.booleans(), min_size=6, max_size=6),
    seed=st.integers(0, 100),
)
def test_pooling_a_segment_equals_pooling_its_places_alone(
    segment: list[int], real: list[bool], seed: int
) -> None:
  states = np.random.default_rng(seed).normal(size=(1, 6, 8)).astype(np.float32)
  members = _members(jnp.array([segment]), jnp.array([real]), segments=3)
  variables = {
      "params": {
          "pool": _pool_variables(8, 2)["params"],
          "projection": {"kernel": jnp.asarray(np.random.default_rng(7).normal(size=(8, 5)))},
      }
  }
  together = _embed(variables, states, members)[0]
  for number in range(1, 4):
    places = [i for i in range(6) if segment[i] == number and real[i]]
    if places:
      alone = _embed(variables, states[:, places], np.ones((1, 1, len(places)), bool))[0, 0]
      assert np.isclose(np.linalg.norm(alone), 1.0, atol=1e-5)
    else:
      alone = np.zeros(5)
    np.testing.assert_allclose(together[number - 1], alone, atol=1e-6)


def test_masked_rows_are_zero_and_pass_no_gradient() -> None:
  x = jnp.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 1.0]])
  mask = jnp.array([True, True, False])
  np.testing.assert_allclose(pooling.unit(x, mask), [[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]])
  gradient = jax.grad(lambda x: pooling.unit(x, mask).sum())(x)
  assert np.all(np.isfinite(gradient))
  assert not np.any(gradient[2])
