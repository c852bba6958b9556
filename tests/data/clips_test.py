"""Clips: what is drawn is pure in (seed, step, row); frames are cropped and resized right."""

import dataclasses
import io

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from mla_jax.data.clips import centred_draws, decode, random_draws
from mla_jax.data.examples import Shapes

SHAPES = Shapes(4, 2, 12, 3, 1, 16, crop_scale=0.8, frame_jitter=1.0)


@given(
    frames=st.integers(1, 30),
    seed=st.integers(0, 2**40),
    step=st.integers(0, 2**40),
    rows=st.sets(st.integers(0, 60), min_size=1).map(sorted).map(np.array),
)
def test_a_row_is_drawn_the_same_whatever_else_is(frames, seed, step, rows):
  shapes = dataclasses.replace(SHAPES, frames=frames)
  whole = random_draws(shapes, seed, step, np.arange(61))
  share = random_draws(shapes, seed, step, rows)
  assert share.jitter.shape == (len(rows), frames) and share.crop.shape == (len(rows), 3)
  np.testing.assert_array_equal(share.jitter, whole.jitter[rows])
  np.testing.assert_array_equal(share.crop, whole.crop[rows])


def test_rows_steps_and_seeds_differ_and_fill_the_range():
  draws = [random_draws(SHAPES, seed, step, np.arange(500)) for seed in (0, 1) for step in (0, 1)]
  values = np.concatenate([np.hstack([draw.jitter, draw.crop]) for draw in draws])
  assert len(np.unique(values, axis=0)) == 2000
  assert values.min() >= 0 and values.max() < 1
  np.testing.assert_allclose(values.mean(axis=0), 0.5, atol=0.04)  # Six standard errors.
  np.testing.assert_allclose(np.corrcoef(values.T) - np.eye(7), 0, atol=0.13)


def test_without_jitter_frames_are_the_middle_ones_and_crops_still_differ():
  still = random_draws(dataclasses.replace(SHAPES, frame_jitter=0.0), 0, 0, np.arange(50))
  middle = centred_draws(SHAPES, 50)
  np.testing.assert_array_equal(still.jitter, middle.jitter)
  assert (still.crop != middle.crop).all()


def _jpeg(rng: np.random.Generator, height: int, width: int) -> bytes:
  """Grey, since decoders differ in colours; neighbours differ, so that a filter's weights show."""
  pixels = rng.integers(0, 256, (height, width)).astype(np.uint8)
  file = io.BytesIO()
  Image.fromarray(pixels).convert("RGB").save(file, "JPEG", quality=95)
  return file.getvalue()


def _mean_of_areas(pixels: np.ndarray, size: int) -> np.ndarray:
  """What each of `size` equal stretches covers of `[E, E, 3]`, along both axes, in numpy."""
  edges = np.linspace(0, len(pixels), size + 1)
  place = np.arange(len(pixels))
  shared = np.minimum(edges[1:, None], place + 1) - np.maximum(edges[:-1, None], place)
  weights = np.maximum(shared, 0) * size / len(pixels)
  return np.einsum("ij,kl,jlc->ikc", weights, weights, pixels.astype(float))


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("size", [16, 20, 29, 30, 47])
def test_frames_are_cropped_to_one_square_and_resized(size: int, train: bool) -> None:
  rng = np.random.default_rng(size)
  frames = [_jpeg(rng, 30, 41), b"", _jpeg(rng, 30, 41)]
  crop = np.array([0.3, 0.2, 0.9], np.float32)
  shapes = dataclasses.replace(SHAPES, frames=3, image_size=size)
  mask = np.array([True, False, True])
  example = {"frames": tf.constant(frames), "crop": tf.constant(crop), "frame_mask": mask}
  video = decode(example, shapes, train=train)["video"].numpy()
  assert video.shape == (3, size, size, 3) and video.dtype == np.uint8
  assert not video[1].any()
  edge = int(30 * (0.8 + 0.2 * 0.3)) if train else 30
  top, left = int((30 - edge) * crop[1]), int((41 - edge) * crop[2])
  for frame, found in zip(np.array(frames)[mask], video[mask], strict=True):
    window = Image.open(io.BytesIO(frame)).crop((left, top, left + edge, top + edge))
    if edge > size:
      expected = _mean_of_areas(np.asarray(window), size)
    else:
      expected = np.asarray(window.resize((size, size), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(found, expected, atol=2.5)  # The decoders' own differences.
