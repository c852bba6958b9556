"""The segments' score of all pairs, in blocks, against numpy one pair at a time."""

import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.losses import latent
from mla_jax.tasks import segment_scores

TEMPERATURE = 0.1


def side(rng, rows, segments, width=8):
  parts = rng.normal(size=(rows, segments, width)).astype(np.float32)
  parts /= np.linalg.norm(parts, axis=-1, keepdims=True)
  real = rng.random((rows, segments)) < 0.7
  real[:, 0] = True
  return {"parts": np.where(real[..., None], parts, np.nan), "real": real}


def softmax_pair(video, text):
  """X-CLIP's score of one pair from its real segments alone."""
  cosine = video @ text.T
  def mean(c):
    weights = np.exp(c / TEMPERATURE) / np.exp(c / TEMPERATURE).sum(axis=1, keepdims=True)
    return (weights * c).sum(axis=1).mean()
  return 0.5 * (mean(cosine) + mean(cosine.T))


def max_pair(video, text):
  cosine = video @ text.T
  return 0.5 * (cosine.max(axis=0).mean() + cosine.max(axis=1).mean())


@pytest.mark.parametrize("block", [1, 1 << 30])
@pytest.mark.parametrize(("variant", "pair"), [("softmax", softmax_pair), ("max", max_pair)])
def test_every_pair_scores_as_by_itself(monkeypatch, variant, pair, block):
  monkeypatch.setattr(segment_scores, "_BLOCK_FLOATS", block * 6 * 5 * 3)  # A block of 1, or all.
  rng = np.random.default_rng(0)
  video, text = side(rng, 5, 6), side(rng, 7, 3)
  score = segment_scores.scorer(variant, TEMPERATURE)
  found = segment_scores.score_all(score, text, video, jnp.float32(2.0))
  for q in range(7):
    for v in range(5):
      expected = pair(video["parts"][v][video["real"][v]], text["parts"][q][text["real"][q]])
      np.testing.assert_allclose(found[q, v], expected, atol=1e-5)


@pytest.mark.parametrize("variant", latent.VARIANTS)
def test_a_side_without_segments_scores_zero_everywhere(variant):
  rng = np.random.default_rng(1)
  video, text = side(rng, 3, 4), side(rng, 2, 4)
  text["real"][0] = False
  video["real"][2] = False
  score = segment_scores.scorer(variant, TEMPERATURE)
  found = segment_scores.score_all(score, text, video, jnp.float32(3.0))
  assert (found[0] == 0).all()
  assert (found[:, 2] == 0).all()
  assert np.isfinite(found).all()
  assert (found[1, :2] != 0).all()


def test_more_scores_than_memory_is_said_before_they_are_made(monkeypatch):
  monkeypatch.setattr(segment_scores, "_MOST_SCORES", 5)
  rng = np.random.default_rng(2)
  with pytest.raises(UserError, match="too many scores"):
    segment_scores.score_all(lambda *_: None, side(rng, 3, 2), side(rng, 2, 2), jnp.float32(0.0))
