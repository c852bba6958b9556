"""Timed segment alignment against numbers by hand, loops, and its own symmetries."""

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
from mla_jax.losses import segment
from mla_jax.losses.types import LossOutput
from tests.losses import batches, reference
from tests.losses.batches import Batch, random_batch, side

SCALE, UPPER, LOWER = 4.0, 0.5, 0.2


@functools.cache
def compiled() -> Callable[..., tuple[LossOutput, dict[str, jax.Array]]]:
  loss = functools.partial(segment.timed_alignment, upper=UPPER, lower=LOWER)
  return functools.partial(batches.with_gradients(loss), log_scale=math.log(SCALE))


def kinds_of(batch: Batch, overlap: np.ndarray) -> reference.Kinds:
  return reference.segment_kinds(
      batch.video_mask,
      batch.text_mask,
      batch.video_key,
      batch.text_key,
      overlap,
      UPPER,
      LOWER,
  )


def logits_of(batch: Batch) -> list[list[float]]:
  width = batch.video.shape[-1]
  cosines = reference.cosines(batch.video.reshape(-1, width), batch.text.reshape(-1, width))
  return [[SCALE * c for c in row] for row in cosines]


def random_overlap(seed: int, captions: int = 1) -> np.ndarray:
  """Positives, thresholds hit exactly, the grey zone, negatives and unknowns."""
  shape = (batches.ROWS * captions, batches.VIDEO_SEGMENTS, batches.TEXT_SEGMENTS)
  choices = np.array([-1.0, 0.0, 0.1, LOWER, 0.3, UPPER, 0.8, 1.0], np.float32)
  return np.random.default_rng(seed).choice(choices, shape)


def test_by_hand() -> None:
  """One text, three stretches: IoU 0.6 (cosine 1), 0.3 (cosine 1/2), 0.1 (cosine 0)."""
  video = np.array([[[1.0, 0.0], [0.5, math.sqrt(0.75)], [0.0, 1.0]]])
  output, _ = compiled()(
      side(video, np.ones((1, 3), bool), np.array([0])),
      side(np.array([[[1.0, 0.0]]]), np.ones((1, 1), bool), np.array([0])),
      overlap=np.array([[[0.6], [0.3], [0.1]]]),
      log_scale=math.log(2.0),
  )
  # Text: log(e^2 + e^0) - 2 = 0.126928, the grey stretch left out. Video: one anchor, one text: 0.
  np.testing.assert_allclose(output.loss, 0.5 * 0.126928, atol=1e-6)
  assert output.metrics["text_to_video_accuracy"] == (1.0, 1.0)
  assert output.metrics["video_to_text_accuracy"] == (1.0, 1.0)
  assert output.metrics["segments_with_positive"] == (1.0, 1.0)


@pytest.mark.parametrize("captions", [1, 2])
@settings(max_examples=30)
@given(data=st.data())
def test_equals_loops(captions: int, data: st.DataObject) -> None:
  batch = random_batch(data.draw(st.integers(0, 9)), captions=captions, segments=True)
  rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
  real = data.draw(st.sampled_from([0.3, 0.8, 1.0]))
  batch.video_mask[:] = rng.random(batch.video_mask.shape) < real
  batch.text_mask[:] = rng.random(batch.text_mask.shape) < real
  batch.video_key[:] = rng.integers(0, 3, batches.ROWS)
  overlap = random_overlap(data.draw(st.integers(0, 1000)), captions)
  output, _ = compiled()(*batch.sides(), overlap=overlap)
  kinds, logits = kinds_of(batch, overlap), logits_of(batch)
  np.testing.assert_allclose(
      output.loss, reference.infonce(logits, kinds), rtol=1e-5, atol=1e-6
  )
  turned = reference.transpose(logits), reference.transpose(kinds)
  hits, rows = reference.hits(*turned)
  np.testing.assert_allclose(output.metrics["text_to_video_accuracy"], (hits, rows))
  np.testing.assert_allclose(
      output.metrics["video_to_text_accuracy"], reference.hits(logits, kinds)
  )
  timed = sum(
      any(overlap[j, n, m] >= 0 for n in np.flatnonzero(batch.video_mask[j // captions]))
      for j, m in np.argwhere(batch.text_mask)
  )
  assert output.metrics["segments_with_positive"] == (rows, timed)


@pytest.mark.parametrize("captions", [1, 2])
def test_gradient_is_the_slope_of_the_loops(captions: int) -> None:
  batch = random_batch(1, captions=captions, segments=True)
  batch.video_mask[2, 1] = batch.text_mask[1, 1] = False
  overlap = random_overlap(2, captions)
  _, grads = compiled()(*batch.sides(), overlap=overlap)
  rng = np.random.default_rng(3)
  for field in ("video", "text"):

    def loss(x: np.ndarray, field: str = field) -> float:
      changed = dataclasses.replace(batch, **{field: x})
      return reference.infonce(logits_of(changed), kinds_of(changed, overlap))

    for _ in range(3):
      along = rng.normal(size=grads[field].shape)
      slope = batches.slope(loss, getattr(batch, field), along)
      np.testing.assert_allclose(np.sum(grads[field] * along), slope, rtol=1e-4, atol=1e-5)


def test_stretches_of_the_same_video_are_negatives() -> None:
  """The one below `lower` is pushed away from the text, the grey one and the unknown are not."""
  batch = random_batch(4, segments=True).rows(np.array([0]))
  overlap = np.full((1, 3, 2), -1, np.float32)
  overlap[0, :, 0] = [0.9, 0.1, 0.3]
  _, grads = compiled()(*batch.sides(), overlap=overlap)
  text = batch.text[0, 0]
  assert grads["video"][0, 0] @ text < 0 < grads["video"][0, 1] @ text
  assert not np.any(grads["video"][0, 2])
  assert not np.any(grads["text"][0, 1])


def test_the_same_video_in_another_row_is_left_out() -> None:
  """Rows 1 and 3 are one video: with times in row 1 alone, row 3 must not matter."""
  batch = random_batch(5, segments=True)
  overlap = random_overlap(6)
  overlap[[0, 2, 3]] = -1
  (with_row_3, _), (without, _) = (
      compiled()(*batch.rows(np.array(rows)).sides(), overlap=overlap[np.array(rows)])
      for rows in ([1, 3], [1])
  )
  np.testing.assert_allclose(with_row_3.loss, without.loss, rtol=1e-6)
  assert without.loss > 0
  _, grads = compiled()(*batch.sides(), overlap=overlap)
  assert not np.any(grads["video"][3])
  assert np.any(grads["video"][0])  # Another video without times still is a negative.


def test_order_of_the_batch_does_not_matter() -> None:
  batch, overlap = random_batch(7, segments=True), random_overlap(8)
  order = np.array([2, 0, 3, 1])
  one, _ = compiled()(*batch.sides(), overlap=overlap)
  other, _ = compiled()(*batch.rows(order).sides(), overlap=overlap[order])
  np.testing.assert_allclose(one.loss, other.loss, rtol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, one.metrics, other.metrics)


def test_padding_is_as_good_as_absent() -> None:
  batch, overlap = random_batch(9, captions=2, segments=True), random_overlap(10, captions=2)
  kept = np.array([0, 1])
  short, short_overlap = batch.rows(kept), overlap[:4]
  batch.video_mask[2:] = batch.text_mask[4:] = False
  batch.video[2:], batch.text[4:], overlap[4:] = np.nan, np.inf, 1.0
  long, long_grads = compiled()(*batch.sides(), overlap=overlap)
  absent, absent_grads = compiled()(*short.sides(), overlap=short_overlap)
  np.testing.assert_allclose(long.loss, absent.loss, rtol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, long.metrics, absent.metrics)
  for field, rows in (("video", 2), ("text", 4)):
    np.testing.assert_allclose(
        long_grads[field][:rows], absent_grads[field], rtol=1e-5, atol=1e-7
    )
    assert not np.any(long_grads[field][rows:])


@pytest.mark.parametrize("why", ["padding", "unknown times", "no overlap", "not a number"])
def test_nothing_to_align_is_zero_with_zero_gradients(why: str) -> None:
  batch, overlap = random_batch(11, segments=True), random_overlap(12)
  if why == "padding":
    batch.video_mask[:] = batch.text_mask[:] = False
  else:
    overlap[:] = {"unknown times": -1.0, "no overlap": 0.0, "not a number": np.nan}[why]
  output, grads = compiled()(*batch.sides(), overlap=overlap)
  assert output.loss == 0
  texts = batch.text_mask.size if why == "no overlap" else 0
  assert output.metrics["segments_with_positive"] == (0, texts)
  for grad in grads.values():
    np.testing.assert_array_equal(grad, 0.0)


@pytest.mark.parametrize(("upper", "lower"), [(0.2, 0.5), (0.0, 0.0), (1.5, 0.1), (0.5, -0.1)])
def test_thresholds_out_of_order(upper: float, lower: float) -> None:
  with pytest.raises(UserError, match="overlap_upper, overlap_lower"):
    segment.timed_alignment(
        *random_batch(0, segments=True).sides(),
        overlap=random_overlap(0),
        log_scale=jnp.float32(0),
        upper=upper,
        lower=lower,
    )


def test_overlap_is_one_table_a_text() -> None:
  batch = random_batch(0, captions=2, segments=True)
  with pytest.raises(ValueError, match="one \\[N, M\\] a text row"):
    compiled()(*batch.sides(), overlap=random_overlap(0))
