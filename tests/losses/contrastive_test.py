"""The global losses against numbers by hand, against loops, and against their own symmetries."""

from collections.abc import Callable
import dataclasses
import functools
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.losses import contrastive
from mla_jax.losses.types import LossOutput, Side
from tests.losses import batches, reference
from tests.losses.batches import Batch, random_batch, side

SCALE, BIAS = 4.0, -1.5
LOSSES = {
    "softmax": contrastive.softmax_alignment,
    "sigmoid": contrastive.sigmoid_alignment,
}
losses = pytest.mark.parametrize("name", LOSSES)
duplicates_modes = pytest.mark.parametrize("duplicates", ["positive", "mask"])


@functools.cache
def compiled(name: str, duplicates: str) -> Callable[..., tuple[LossOutput, dict[str, jax.Array]]]:
  loss = batches.with_gradients(functools.partial(LOSSES[name], duplicates=duplicates))
  return functools.partial(loss, log_scale=math.log(SCALE), bias=BIAS)


def expected(batch: Batch, name: str, duplicates: str, scale: float, bias: float) -> float:
  kinds = reference.pair_kinds(
      batch.video_mask, batch.text_mask, batch.video_key, batch.text_key, duplicates
  )
  loss = reference.infonce if name == "softmax" else reference.sigmoid
  cosines = reference.cosines(batch.video, batch.text)
  return loss([[scale * c + bias for c in row] for row in cosines], kinds)


def two_orthogonal_pairs(keys: tuple[int, int]) -> tuple[Side, Side]:
  one = side(np.eye(2), np.ones(2, bool), np.array(keys))
  return one, one


# Logits are 2 on the diagonal and 0 off it; the bias of the sigmoid is -1.
BY_HAND = {
    ("softmax", "positive", (0, 1)): math.log(1 + math.exp(-2)),  # 0.126928
    ("softmax", "mask", (0, 1)): 0.126928,
    ("softmax", "positive", (4, 4)): 1.126928,  # log(e^2 + 1) - (2 + 0) / 2.
    ("softmax", "mask", (4, 4)): 0.0,  # Nothing but the own pair is left.
    ("sigmoid", "positive", (0, 1)): 0.626523,  # Four times log(1 + e^-1) over two texts.
    ("sigmoid", "mask", (0, 1)): 0.626523,
    ("sigmoid", "positive", (4, 4)): 1.626523,  # (2 log(1 + e^-1) + 2 log(1 + e)) / 2.
    ("sigmoid", "mask", (4, 4)): 0.313262,
}


@pytest.mark.parametrize(("name", "duplicates", "keys"), BY_HAND)
def test_by_hand(name: str, duplicates: str, keys: tuple[int, int]) -> None:
  video, text = two_orthogonal_pairs(keys)
  output, _ = compiled(name, duplicates)(video, text, log_scale=math.log(2.0), bias=-1.0)
  np.testing.assert_allclose(output.loss, BY_HAND[name, duplicates, keys], atol=2e-6)


@losses
@duplicates_modes
@pytest.mark.parametrize("captions", [1, 2])
@settings(max_examples=15)
@given(data=st.data())
def test_equals_loops(name: str, duplicates: str, captions: int, data: st.DataObject) -> None:
  booleans = functools.partial(st.lists, st.booleans())
  count = batches.ROWS
  keys = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
  batch = dataclasses.replace(
      random_batch(data.draw(st.integers(0, 9)), captions=captions),
      video_mask=np.array(data.draw(booleans(min_size=count, max_size=count))),
      text_mask=np.array(
          data.draw(booleans(min_size=count * captions, max_size=count * captions))
      ),
      video_key=np.array(keys, np.int32),
  )
  output, _ = compiled(name, duplicates)(*batch.sides())
  np.testing.assert_allclose(
      output.loss, expected(batch, name, duplicates, SCALE, BIAS), rtol=1e-5, atol=1e-6
  )
  kinds = reference.pair_kinds(
      batch.video_mask, batch.text_mask, batch.video_key, batch.text_key, duplicates
  )
  logits = reference.cosines(batch.video, batch.text)
  turned = reference.transpose(logits), reference.transpose(kinds)
  np.testing.assert_allclose(
      output.metrics["video_to_text_accuracy"], reference.hits(logits, kinds)
  )
  np.testing.assert_allclose(output.metrics["text_to_video_accuracy"], reference.hits(*turned))


@losses
@duplicates_modes
@pytest.mark.parametrize("captions", [1, 2])
def test_gradient_is_the_slope_of_the_loops(name: str, duplicates: str, captions: int) -> None:
  batch = random_batch(1, captions=captions)
  batch.text_mask[2] = False
  _, grads = compiled(name, duplicates)(*batch.sides())
  rng = np.random.default_rng(2)

  def loss(scale: float = SCALE, bias: float = BIAS, **changed: np.ndarray) -> float:
    return expected(dataclasses.replace(batch, **changed), name, duplicates, scale, bias)

  def loss_of(field: str, value: np.ndarray) -> float:
    return loss(**{field: value})

  for field in ("video", "text"):
    at = getattr(batch, field)
    for _ in range(3):
      along = rng.normal(size=at.shape)
      slope = batches.slope(functools.partial(loss_of, field), at, along)
      np.testing.assert_allclose(np.sum(grads[field] * along), slope, rtol=1e-4, atol=1e-5)
  by_log_scale = batches.slope(
      lambda x: loss(scale=math.exp(float(x))), np.log(SCALE), np.array(1.0)
  )
  np.testing.assert_allclose(grads["log_scale"], by_log_scale, rtol=1e-4)
  by_bias = batches.slope(lambda x: loss(bias=float(x)), np.array(BIAS), np.array(1.0))
  np.testing.assert_allclose(grads["bias"], by_bias, rtol=1e-4, atol=1e-7)


@losses
@duplicates_modes
def test_order_of_the_batch_does_not_matter(name: str, duplicates: str) -> None:
  batch = random_batch(3, captions=2)
  batch.video_mask[1] = batch.text_mask[0] = False
  shuffled = batch.rows(np.array([2, 0, 3, 1]))
  (one, _), (other, _) = (compiled(name, duplicates)(*b.sides()) for b in (batch, shuffled))
  np.testing.assert_allclose(one.loss, other.loss, rtol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, one.metrics, other.metrics)


@losses
@duplicates_modes
def test_padding_is_as_good_as_absent(name: str, duplicates: str) -> None:
  batch = random_batch(4, captions=2)
  short = batch.rows(np.array([0, 1]))
  batch.video_mask[2:] = batch.text_mask[4:] = False
  batch.video[2:], batch.text[4:] = np.nan, np.inf  # Not even these may leak.
  batch.video_key[2:] = batch.video_key[0]
  (long, long_grads), (absent, absent_grads) = (
      compiled(name, duplicates)(*b.sides()) for b in (batch, short)
  )
  np.testing.assert_allclose(long.loss, absent.loss, rtol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, long.metrics, absent.metrics)
  for field, rows in (("video", 2), ("text", 4)):
    np.testing.assert_allclose(
        long_grads[field][:rows], absent_grads[field], rtol=1e-5, atol=1e-7
    )
    assert not np.any(long_grads[field][rows:])


@losses
@duplicates_modes
def test_a_batch_of_padding_is_zero_with_zero_gradients(name: str, duplicates: str) -> None:
  batch = random_batch(5)
  batch.video_mask[:] = batch.text_mask[:] = False
  output, grads = compiled(name, duplicates)(*batch.sides())
  assert output.loss == 0
  assert {float(x) for pair in output.metrics.values() for x in pair} == {0.0}
  for grad in grads.values():
    np.testing.assert_array_equal(grad, 0.0)


@losses
def test_scale_is_clipped_at_100(name: str) -> None:
  def loss(log_scale: float) -> float:
    output, _ = compiled(name, "mask")(*random_batch(6).sides(), log_scale=log_scale)
    return float(output.loss)

  assert loss(20.0) == loss(math.log(100.0) + 0.1)
  assert loss(20.0) != loss(math.log(99.0))
  assert np.isfinite(loss(1e4))


@losses
def test_half_precision_embeddings_are_computed_in_float32(name: str) -> None:
  video, text = random_batch(7).sides()
  half = [dataclasses.replace(s, embedding=s.embedding.astype(jnp.bfloat16)) for s in (video, text)]
  rounded = [
      dataclasses.replace(s, embedding=s.embedding.astype(jnp.float32)) for s in half
  ]
  (output, _), (of_rounded, _) = (compiled(name, "mask")(*sides) for sides in (half, rounded))
  assert output.loss.dtype == jnp.float32
  np.testing.assert_array_equal(output.loss, of_rounded.loss)


def test_softmax_does_not_see_the_bias() -> None:
  sides = random_batch(8).sides()
  (one, _), (other, grads) = (compiled("softmax", "mask")(*sides, bias=b) for b in (0.0, 5.0))
  assert one.loss == other.loss
  assert grads["bias"] == 0


@losses
def test_equal_embeddings_are_right_by_chance_only(name: str) -> None:
  batch = random_batch(9)
  same = dataclasses.replace(
      batch,
      video=np.ones_like(batch.video),
      text=np.ones_like(batch.text),
      video_key=np.arange(batches.ROWS),
  )
  output, _ = compiled(name, "mask")(*same.sides())
  for hits, rows in output.metrics.values():
    assert (float(hits), float(rows)) == (1.0, batches.ROWS)


@losses
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"duplicates": "positve"}, "did you mean 'positive'"),
        ({"impl": "rings"}, "did you mean 'ring'"),
        ({"impl": "ring"}, "pass mesh="),
    ],
)
def test_unknown_choices_are_named(name: str, options: dict[str, str], said: str) -> None:
  options = {"duplicates": "mask"} | options
  with pytest.raises(UserError, match=said):
    LOSSES[name](
        *random_batch(0).sides(), log_scale=jnp.float32(0), bias=jnp.float32(0), **options
    )


def test_texts_must_be_a_multiple_of_the_videos() -> None:
  video, text = random_batch(0, captions=2).sides()
  text = jax.tree.map(lambda x: x[:-1], text)
  with pytest.raises(ValueError, match="7 text rows are no multiple of 4 video rows"):
    compiled("softmax", "mask")(video, text)
