"""Latent segment alignment, every variant: numbers by hand, loops, and its own symmetries."""

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
from mla_jax.losses import latent, segment
from mla_jax.losses.types import LossOutput
from tests.losses import batches, reference
from tests.losses.batches import Batch, random_batch

SCALE, TEMPERATURE = 4.0, 0.25
variants = pytest.mark.parametrize("variant", latent.VARIANTS)


@functools.cache
def compiled(
    variant: str, duplicates: str = "positive"
) -> Callable[..., tuple[LossOutput, dict[str, jax.Array]]]:
  loss = functools.partial(
      segment.latent_alignment, variant=variant, temperature=TEMPERATURE, duplicates=duplicates
  )
  return functools.partial(batches.with_gradients(loss), log_scale=math.log(SCALE))


def expected(
    batch: Batch, variant: str, duplicates: str = "positive", scale: float = SCALE
) -> float:
  return reference.latent(
      batch.video,
      batch.text,
      batch.video_mask,
      batch.text_mask,
      batch.video_key,
      batch.text_key,
      variant=variant,
      temperature=TEMPERATURE,
      scale=scale,
      duplicates=duplicates,
  )


@functools.cache
def pair_logits(variant: str, temperature: float) -> Callable[..., jax.Array]:
  return jax.jit(
      functools.partial(latent.pair_logits, variant=variant, temperature=temperature)
  )


def logit(cosines: np.ndarray, variant: str, temperature: float, scale: float) -> float:
  """The logit of one pair whose segments have these cosines."""
  n, m = cosines.shape
  video, text = cosines.astype(np.float32), np.eye(m, dtype=np.float32)  # Product: `cosines`.
  ones = np.ones((1, n), bool), np.ones((1, m), bool)
  function = pair_logits(variant, temperature)
  return float(function(video[None], text[None], *ones, scale=np.float32(scale))[0, 0])


# Both texts like stretch 0 best, but stretch 1 must go somewhere in a transport plan.
RIVALS = np.array([[0.9, 0.8], [0.8, 0.0]])


@pytest.mark.parametrize(
    ("variant", "temperature", "scale", "by_hand"),
    [
        ("max", 0.1, 10.0, 8.5),  # 10 ((0.9 + 0.8) / 2 + (0.9 + 0.8) / 2) / 2.
        # Text 0: (0.9 e^9 + 0.8 e^8) / (e^9 + e^8) = 0.873106; text 1: 0.799732; and so back.
        ("softmax", 0.1, 10.0, 8.364190),
        # The plan [[x, y], [y, x]], y = 1/2 - x, has x / y = e^-(0.7 / 0.2 / 2): x = 0.074024, and
        # the logit is 10 (0.9 x + 1.6 y).
        ("sinkhorn", 0.2, 10.0, 7.481832),
        ("mil_nce", 0.1, 10.0, 9.551508),  # log(e^9 + 2 e^8 + 1).
    ],
)
def test_a_pair_by_hand(variant: str, temperature: float, scale: float, by_hand: float) -> None:
  np.testing.assert_allclose(logit(RIVALS, variant, temperature, scale), by_hand, rtol=1e-4)


@variants
def test_a_batch_by_hand(variant: str) -> None:
  """Two pairs of one segment each are plain InfoNCE: log(1 + e^-2)."""
  batch = Batch(
      np.eye(2)[:, None], np.eye(2)[:, None], np.ones((2, 1), bool), np.ones((2, 1), bool),
      np.arange(2),
  )
  output, _ = compiled(variant)(*batch.sides(), log_scale=math.log(2.0))
  np.testing.assert_allclose(output.loss, 0.126928, atol=1e-6)


def test_soft_attention_gets_hard_when_cold_and_flat_when_hot() -> None:
  cosines = np.random.default_rng(0).uniform(-1, 1, (3, 4))
  np.testing.assert_allclose(
      logit(cosines, "softmax", 1e-3, 1.0), logit(cosines, "max", 1.0, 1.0), rtol=1e-5
  )
  for variant in ("softmax", "sinkhorn"):
    np.testing.assert_allclose(logit(cosines, variant, 1e4, 1.0), cosines.mean(), atol=1e-4)


def test_sinkhorn_finds_the_best_assignment_when_cold() -> None:
  cosines = np.full((4, 4), -0.2)
  cosines[[0, 1, 2, 3], [2, 0, 3, 1]] = [0.3, 0.5, 0.9, 0.4]
  np.testing.assert_allclose(logit(cosines, "sinkhorn", 0.02, 1.0), 2.1 / 4, rtol=1e-4)


@variants
@pytest.mark.parametrize(("duplicates", "captions"), [("positive", 2), ("mask", 1)])
@settings(max_examples=10)
@given(data=st.data())
def test_equals_loops(variant: str, duplicates: str, captions: int, data: st.DataObject) -> None:
  batch = random_batch(data.draw(st.integers(0, 9)), captions=captions, segments=True)
  rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
  real = data.draw(st.sampled_from([0.3, 0.7, 1.0]))
  batch.video_mask[:] = rng.random(batch.video_mask.shape) < real
  batch.text_mask[:] = rng.random(batch.text_mask.shape) < real
  batch.video_key[:] = rng.integers(0, 3, batches.ROWS)
  output, _ = compiled(variant, duplicates)(*batch.sides())
  np.testing.assert_allclose(
      output.loss, expected(batch, variant, duplicates), rtol=2e-5, atol=2e-6
  )
  kinds = reference.pair_kinds(
      batch.video_mask.any(axis=1),
      batch.text_mask.any(axis=1),
      batch.video_key,
      batch.text_key,
      duplicates,
  )
  anchors = sum("+" in row for row in kinds)
  assert output.metrics["video_to_text_accuracy"][1] == anchors


@variants
def test_gradient_is_the_slope_of_the_loops(variant: str) -> None:
  batch = random_batch(1, captions=2, segments=True)
  batch.video_mask[2, 1] = batch.text_mask[1, 1] = batch.text_mask[4] = False
  _, grads = compiled(variant)(*batch.sides())
  rng = np.random.default_rng(2)
  for field in ("video", "text"):

    def loss(x: np.ndarray, field: str = field) -> float:
      return expected(dataclasses.replace(batch, **{field: x}), variant)

    for _ in range(3):
      along = rng.normal(size=grads[field].shape)
      slope = batches.slope(loss, getattr(batch, field), along)
      np.testing.assert_allclose(np.sum(grads[field] * along), slope, rtol=1e-4, atol=1e-5)
  by_log_scale = batches.slope(
      lambda x: expected(batch, variant, scale=math.exp(float(x))), np.log(SCALE), np.array(1.0)
  )
  np.testing.assert_allclose(grads["log_scale"], by_log_scale, rtol=1e-4)


@variants
def test_order_of_the_batch_does_not_matter(variant: str) -> None:
  batch = random_batch(3, captions=2, segments=True)
  batch.video_mask[0, 2] = False
  (one, _), (other, _) = (
      compiled(variant)(*b.sides()) for b in (batch, batch.rows(np.array([2, 0, 3, 1])))
  )
  np.testing.assert_allclose(one.loss, other.loss, rtol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, one.metrics, other.metrics)


@variants
def test_padding_is_as_good_as_absent(variant: str) -> None:
  """Of rows and of segments, NaN in the padding included."""
  batch = random_batch(4, captions=2, segments=True)
  rows = batch.rows(np.array([0, 1]))
  short = dataclasses.replace(
      rows, video=rows.video[:, [0, 2]], video_mask=rows.video_mask[:, [0, 2]]
  )
  batch.video_mask[2:] = batch.text_mask[4:] = batch.video_mask[:, 1] = False
  batch.video[2:], batch.text[4:], batch.video[:, 1] = np.nan, np.inf, np.nan
  (long, grads), (absent, short_grads) = (
      compiled(variant)(*b.sides()) for b in (batch, short)
  )
  np.testing.assert_allclose(long.loss, absent.loss, rtol=2e-6)
  jax.tree.map(np.testing.assert_array_equal, long.metrics, absent.metrics)
  close = functools.partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-7)
  close(grads["video"][:2, [0, 2]], short_grads["video"])
  close(grads["text"][:4], short_grads["text"])
  assert not np.any(grads["video"][2:])
  assert not np.any(grads["video"][:, 1])
  assert not np.any(grads["text"][4:])


@variants
def test_a_batch_of_padding_is_zero_with_zero_gradients(variant: str) -> None:
  batch = random_batch(5, captions=2, segments=True)
  batch.video_mask[:] = batch.text_mask[:] = False
  output, grads = compiled(variant)(*batch.sides())
  assert output.loss == 0
  assert {float(x) for pair in output.metrics.values() for x in pair} == {0.0}
  for grad in grads.values():
    np.testing.assert_array_equal(grad, 0.0)


def test_half_precision_embeddings_are_computed_in_float32() -> None:
  batch = random_batch(6, captions=2, segments=True)
  half = [
      dataclasses.replace(s, embedding=s.embedding.astype(jnp.bfloat16)) for s in batch.sides()
  ]
  rounded = [dataclasses.replace(s, embedding=s.embedding.astype(jnp.float32)) for s in half]
  (output, _), (of_rounded, _) = (compiled("softmax")(*sides) for sides in (half, rounded))
  assert output.loss.dtype == jnp.float32
  np.testing.assert_array_equal(output.loss, of_rounded.loss)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"variant": "sinkhrn"}, "did you mean 'sinkhorn'"),
        ({"duplicates": "negative"}, "choose one of positive, mask"),
        ({"temperature": 0.0}, "segment_temperature=0.0: choose a number above 0"),
        ({"temperature": math.nan}, "segment_temperature=nan"),
        ({"impl": "rings"}, "did you mean 'ring'"),
        ({"impl": "ring"}, "pass mesh="),
    ],
)
def test_bad_options_are_named(options: dict, said: str) -> None:
  options = {"variant": "max", "temperature": 0.1, "duplicates": "mask"} | options
  with pytest.raises(UserError, match=said):
    segment.latent_alignment(
        *random_batch(0, segments=True).sides(), log_scale=jnp.float32(0), **options
    )
