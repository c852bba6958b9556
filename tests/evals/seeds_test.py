"""The interval over seeds and examples: both kinds of noise are in it."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap, seeds


def width(interval):
  return interval[1] - interval[0]


def test_one_seed_is_the_bootstrap_over_clusters():
  rng = np.random.default_rng(0)
  values, clusters = rng.normal(size=300), np.repeat(np.arange(60), 5)
  ours = seeds.seeds_interval(values[None], clusters, resamples=20_000)
  plain = bootstrap.mean_interval(values[:, None], clusters, resamples=20_000, seed=1)[0]
  np.testing.assert_allclose(ours, plain, atol=0.01)


def test_seeds_that_differ_widen_it_where_the_examples_alone_would_not():
  examples = np.zeros(200)  # No noise among examples at all.
  values = np.array([-1.0, 0.0, 1.0])[:, None] + examples
  found = seeds.seeds_interval(values, np.arange(200), resamples=5_000)
  assert found == (-1.0, 1.0)


def test_examples_that_differ_widen_it_where_the_seeds_alone_would_not():
  values = np.tile(np.random.default_rng(0).normal(size=400), (5, 1))
  found = seeds.seeds_interval(values, np.arange(400), resamples=5_000)
  assert width(found) == pytest.approx(2 * 1.96 / 20, rel=0.1)


def test_a_cluster_weighs_as_its_examples():
  # One cluster of 3 examples at 1 and one of 1 at 0: means of a resample are 1, 0.75 or 0.
  values = np.array([[1.0, 1.0, 1.0, 0.0]])
  low, high = seeds.seeds_interval(values, np.array([7, 7, 7, 9]), resamples=4_000)
  assert (low, high) == (0.0, 1.0)
  middle = seeds.seeds_interval(values, np.array([7, 7, 7, 9]), resamples=4_000, confidence=0.4)
  assert middle == (0.75, 0.75)


@given(st.integers(1, 4), st.integers(1, 30), st.integers(0, 99))
def test_it_holds_what_no_noise_leaves(number, examples, seed):
  found = seeds.seeds_interval(
      np.full((number, examples), 2.5), np.arange(examples), resamples=50, seed=seed
  )
  assert found == (2.5, 2.5)


@pytest.mark.parametrize(
    "values",
    [np.zeros((0, 3)), np.zeros((2, 0)), np.zeros(3), np.zeros((2, 4)), np.full((2, 3), np.nan)],
)
def test_what_gives_no_number(values):
  with pytest.raises(UserError):
    seeds.seeds_interval(values, np.arange(3))


def test_no_resample():
  with pytest.raises(UserError, match="resamples=0"):
    seeds.seeds_interval(np.zeros((2, 3)), np.arange(3), resamples=0)
