"""What is drawn of training clips: pure in (seed, step, row), and in range."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from mla_jax.data.clips import centred_draws, random_draws
from mla_jax.data.examples import Shapes

SHAPES = Shapes(4, 2, 12, 3, 1, 16, crop_scale=0.8, frame_jitter=1.0)


@given(
    frames=st.integers(1, 30),
    seed=st.integers(0, 2**40),
    step=st.integers(0, 2**40),
    first=st.integers(0, 50),
    rows=st.integers(1, 9),
)
def test_a_row_is_drawn_the_same_wherever_a_share_begins(frames, seed, step, first, rows):
  shapes = dataclasses.replace(SHAPES, frames=frames)
  whole = random_draws(shapes, seed, step, 0, first + rows)
  share = random_draws(shapes, seed, step, first, rows)
  assert share.jitter.shape == (rows, frames) and share.crop.shape == (rows, 3)
  np.testing.assert_array_equal(share.jitter, whole.jitter[first:])
  np.testing.assert_array_equal(share.crop, whole.crop[first:])


def test_rows_steps_and_seeds_differ_and_fill_the_range():
  draws = [random_draws(SHAPES, seed, step, 0, 500) for seed in (0, 1) for step in (0, 1)]
  values = np.concatenate([np.hstack([draw.jitter, draw.crop]) for draw in draws])
  assert len(np.unique(values, axis=0)) == 2000
  assert values.min() >= 0 and values.max() < 1
  np.testing.assert_allclose(values.mean(axis=0), 0.5, atol=0.04)  # Six standard errors.
  np.testing.assert_allclose(np.corrcoef(values.T) - np.eye(7), 0, atol=0.13)


def test_without_jitter_frames_are_the_middle_ones_and_crops_still_differ():
  still = random_draws(dataclasses.replace(SHAPES, frame_jitter=0.0), 0, 0, 0, 50)
  middle = centred_draws(SHAPES, 50)
  np.testing.assert_array_equal(still.jitter, middle.jitter)
  assert (still.crop != middle.crop).all()
