import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.losses.regression import regression
from mla_jax.losses.types import Side


def sides(captions: int = 3) -> tuple[Side, Side]:
  rng = np.random.default_rng(0)
  video, text = (
      array / np.linalg.norm(array, axis=-1, keepdims=True)
      for array in (rng.standard_normal((4, 8)), rng.standard_normal((4 * captions, 8)))
  )
  real = rng.random(4 * captions) < 0.6
  return (
      Side(jnp.asarray(video, jnp.float32), jnp.array([True, True, False, True]), jnp.arange(4)),
      Side(jnp.asarray(text, jnp.float32), jnp.asarray(real), jnp.repeat(jnp.arange(4), captions)),
  )


@pytest.mark.parametrize("captions", [1, 3])
def test_it_is_the_mean_distance_of_the_real_texts_to_their_video(captions: int) -> None:
  video, text = sides(captions)
  apart = [
      1.0 - np.dot(video.embedding[j // captions], text.embedding[j])
      for j in range(4 * captions)
      if text.mask[j] and video.mask[j // captions]
  ]
  assert 0 < len(apart) < 3 * captions
  assert float(regression(video, text).loss) == pytest.approx(np.mean(apart), rel=1e-6)


def test_it_is_half_the_squared_distance_of_wang_and_isola() -> None:
  video, text = sides()
  video = dataclasses.replace(video, mask=jnp.ones(4, bool))
  text = dataclasses.replace(text, mask=jnp.ones(12, bool))
  squared = np.square(np.repeat(video.embedding, 3, axis=0) - np.asarray(text.embedding)).sum(-1)
  assert float(regression(video, text).loss) == pytest.approx(squared.mean() / 2, rel=1e-6)


def test_what_is_not_real_has_no_say_and_no_gradient() -> None:
  video, text = sides()
  nowhere = jnp.where(text.mask[:, None], text.embedding, jnp.nan)
  spoilt = dataclasses.replace(text, embedding=nowhere)
  assert float(regression(video, spoilt).loss) == float(regression(video, text).loss)

  def loss(video_embedding: jax.Array, text_embedding: jax.Array) -> jax.Array:
    return regression(
        dataclasses.replace(video, embedding=video_embedding),
        dataclasses.replace(text, embedding=text_embedding),
    ).loss

  of_video, of_text = jax.grad(loss, (0, 1))(video.embedding, text.embedding)
  assert not np.any(of_video[2]) and np.any(of_video[0])
  np.testing.assert_array_equal(
      np.any(np.asarray(of_text), axis=1), np.asarray(text.mask & jnp.repeat(video.mask, 3))
  )


def test_nothing_real_is_nothing_lost() -> None:
  video, text = sides()
  text = dataclasses.replace(text, mask=jnp.zeros(12, bool))
  assert float(regression(video, text).loss) == 0.0
