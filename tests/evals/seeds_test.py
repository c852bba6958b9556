"""Intervals over seeds and examples: they err as often as they say, whichever noise there is."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import scipy.stats

from mla_jax.errors import UserError
from mla_jax.evals import seeds


def crossed(rng, *, seed, video, rest, seeds=5, videos=60):
  """Values of mean 0 `[seeds, videos]`, with the given standard deviations."""
  return (
      seed * rng.normal(size=(seeds, 1))
      + video * rng.normal(size=(1, videos))
      + rest * rng.normal(size=(seeds, videos))
  )


@pytest.mark.parametrize(
    ("seed", "video", "rest", "videos"),
    [
        (0, 0, 1, 60), (0, 1, 0.3, 60), (0, 1, 1, 60), (0.2, 0.3, 1, 60), (0.5, 1, 1, 60),
        (1, 0, 0.1, 60), (0.3, 1, 1, 150), (0.3, 2, 1, 150), (0.2, 2, 1, 300),
    ],
)
# Two seeds know little of how far seeds lie apart: alike settings differ in up to 13 % of cases.
@pytest.mark.parametrize(
    ("number", "shares"),
    [
        (2, {0.05: 0.13, 0.01: 0.08, 0.001: 0.06}),
        (3, {0.05: 0.08, 0.01: 0.04, 0.001: 0.02}),
        (4, {0.05: 0.07, 0.01: 0.03, 0.001: 0.01}),
        (5, {0.05: 0.06, 0.01: 0.02, 0.001: 0.005}),
    ],
)
def test_settings_that_are_alike_differ_as_rarely_as_they_should(
    seed, video, rest, videos, number, shares
):
  rng = np.random.default_rng(0)
  p_values = []
  for _ in range(400):
    values = crossed(rng, seed=seed, video=video, rest=rest, seeds=number, videos=videos)
    found = seeds.seeds_difference(np.zeros_like(values), values, np.arange(videos))
    assert (found.p_value <= 0.05) == (not found.interval[0] < 0 < found.interval[1])
    p_values.append(found.p_value)
  for level, share in shares.items():
    noise = 3 * np.sqrt(share * (1 - share) / len(p_values))
    assert np.mean(np.array(p_values) <= level) <= share + noise


def test_settings_that_differ_are_found():
  rng = np.random.default_rng(1)
  found = []
  for _ in range(200):
    values = crossed(rng, seed=0.1, video=1.0, rest=1.0, videos=150) + 0.4
    found.append(seeds.seeds_difference(np.zeros_like(values), values, np.arange(150)).p_value)
  assert np.mean(np.array(found) <= 0.05) >= 0.8


def test_one_seed_is_the_t_test_over_videos():
  values = np.random.default_rng(0).normal(0.2, 1.0, 30)
  found = seeds.seeds_difference(np.zeros((1, 90)), values.repeat(3)[None], np.arange(90) // 3)
  reference = scipy.stats.ttest_1samp(values, 0.0)
  assert found.p_value == pytest.approx(reference.pvalue)
  assert found.interval == pytest.approx(tuple(reference.confidence_interval(0.95)))


def test_one_video_is_the_t_test_over_seeds():
  values = np.array([0.1, 0.4, 0.3, 0.5])
  found = seeds.seeds_difference(np.zeros((4, 2)), values[:, None].repeat(2, 1), np.zeros(2))
  assert found.p_value == pytest.approx(scipy.stats.ttest_1samp(values, 0.0).pvalue)


def test_many_seeds_and_videos_against_drawing_them_anew():
  """The width is that of means over new seeds and new videos, which a simulation draws."""
  rng = np.random.default_rng(2)
  noise = {"seed": 0.3, "video": 1.0, "rest": 1.0, "seeds": 20, "videos": 200}
  means = [crossed(rng, **noise).mean() for _ in range(4000)]
  low, high = seeds.seeds_interval(crossed(rng, **noise), np.arange(200))
  assert high - low == pytest.approx(2 * 1.96 * np.std(means), rel=0.25)


def test_videos_of_many_examples_weigh_as_much():
  """The mean is that over examples; its interval that of a ratio of sums, drawn by bootstrap."""
  rng = np.random.default_rng(3)
  size = rng.integers(1, 40, 100)
  clusters = np.repeat(np.arange(100), size)
  of_video = rng.normal(size=100) + 0.02 * size
  values = of_video[clusters]
  low, high = seeds.seeds_interval(values[None], clusters)
  assert (low + high) / 2 == pytest.approx(values.mean())
  drawn = rng.integers(0, 100, (4000, 100))
  means = np.sum((of_video * size)[drawn], axis=1) / np.sum(size[drawn], axis=1)
  assert high - low == pytest.approx(2 * 1.98 * np.std(means), rel=0.1)


def test_swapping_the_settings_changes_the_sign_alone():
  a, b = np.random.default_rng(4).random((2, 3, 40))
  one, other = (seeds.seeds_difference(*pair, np.arange(40) // 2) for pair in ((a, b), (b, a)))
  assert other.mean == pytest.approx(-one.mean)
  np.testing.assert_allclose(other.interval, [-one.interval[1], -one.interval[0]])
  assert other.p_value == pytest.approx(one.p_value)


@given(st.integers(1, 4), st.integers(2, 30), st.floats(-100, 100))
def test_without_noise_it_is_the_mean(number, examples, value):
  values = np.full((number, examples), value)
  found = seeds.seeds_difference(np.zeros_like(values), values, np.arange(examples))
  assert found.interval == (found.mean, found.mean) and found.mean == pytest.approx(value)
  assert found.p_value == (1.0 if value == 0 else 0.0)


@pytest.mark.parametrize(
    "values",
    [np.zeros((0, 3)), np.zeros((2, 0)), np.zeros(3), np.zeros((2, 4)), np.full((2, 3), np.nan)],
)
def test_what_gives_no_number(values):
  with pytest.raises(UserError):
    seeds.seeds_interval(values, np.arange(3))


def test_one_seed_of_one_video():
  with pytest.raises(UserError, match="1 seed and 1 video"):
    seeds.seeds_interval(np.zeros((1, 3)), np.zeros(3))
