"""Every loss in a ring of four devices against the dense one and against loops."""

from collections.abc import Callable
import dataclasses
import functools
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.losses import contrastive, latent, segment
from mla_jax.losses.types import LossOutput
from mla_jax.sharding import make_mesh
from tests.losses import batches, reference
from tests.losses.batches import Batch

ROWS, CAPTIONS = 20, 2  # Five videos and ten texts a device.
# Room for 4 x 4 pairs of rows: chunks of 3 videos (5 do not divide) and of 4 texts (nor do 10).
PAIRS = 16
SCALE, BIAS, TEMPERATURE, UPPER, LOWER = 4.0, -1.5, 0.25, 0.5, 0.2
GLOBAL = {"softmax": contrastive.softmax_alignment, "sigmoid": contrastive.sigmoid_alignment}
LATENT = {f"latent_{variant}": variant for variant in latent.VARIANTS}
LOSSES = (*GLOBAL, "timed", *LATENT)
losses = pytest.mark.parametrize("name", LOSSES)
# Half of them with either way to treat duplicates; the masks are the same for all.
DUPLICATES = {name: ("positive", "mask")[place % 2] for place, name in enumerate(LOSSES)}

Call = Callable[..., tuple[LossOutput, dict[str, jax.Array]]]


def loss_function(name: str, **ring) -> Callable[..., LossOutput]:
  if name == "timed":
    return functools.partial(segment.timed_alignment, upper=UPPER, lower=LOWER, **ring)
  duplicates = DUPLICATES[name]
  if name in GLOBAL:
    return functools.partial(GLOBAL[name], duplicates=duplicates, **ring)
  return functools.partial(
      segment.latent_alignment,
      variant=LATENT[name],
      temperature=TEMPERATURE,
      duplicates=duplicates,
      **ring,
  )


def block(name: str) -> int:
  pairs_of_segments = 1 if name in GLOBAL else batches.VIDEO_SEGMENTS * batches.TEXT_SEGMENTS
  return PAIRS * pairs_of_segments


def of_four(name: str) -> dict:
  mesh = make_mesh(ConfigDict({"data": 2, "fsdp": 2}), jax.devices()[:4])
  return {"impl": "ring", "mesh": mesh, "block": block(name)}


@functools.cache
def compiled(name: str) -> tuple[Call, Call]:
  """The loss in a ring and dense, with their gradients."""

  def call(loss: Callable[..., LossOutput]) -> Call:
    scalars = {"log_scale": math.log(SCALE)} | ({"bias": BIAS} if name in GLOBAL else {})
    return functools.partial(batches.with_gradients(loss), **scalars)

  return call(loss_function(name, **of_four(name))), call(loss_function(name))


def make_batch(name: str, seed: int, real: float = 1.0) -> tuple[Batch, dict[str, np.ndarray]]:
  """Videos of which several are the same, on any devices, and masks with this share of True."""
  rng = np.random.default_rng(seed)
  segments = name not in GLOBAL
  video = (ROWS, batches.VIDEO_SEGMENTS) if segments else (ROWS,)
  text = (ROWS * CAPTIONS, batches.TEXT_SEGMENTS) if segments else (ROWS * CAPTIONS,)
  batch = Batch(
      video=batches.unit(rng, *video, batches.WIDTH),
      text=batches.unit(rng, *text, batches.WIDTH),
      video_mask=rng.random(video) < real,
      text_mask=rng.random(text) < real,
      video_key=rng.integers(0, 3 * ROWS // 2, ROWS).astype(np.int32),
  )
  if name != "timed":
    return batch, {}
  shape = (ROWS * CAPTIONS, batches.VIDEO_SEGMENTS, batches.TEXT_SEGMENTS)
  overlap = rng.choice([-1.0, 0.1, LOWER, 0.3, UPPER, 0.8], shape)
  return batch, {"overlap": overlap.astype(np.float32)}


def by_loops(name: str, batch: Batch, extra: dict[str, np.ndarray]) -> float:
  masks = batch.video_mask, batch.text_mask
  keys = batch.video_key, batch.text_key
  if name == "timed":
    logits = SCALE * np.array(reference.cosines(*(x.reshape(-1, batches.WIDTH) for x in (
        batch.video, batch.text))))
    return reference.infonce(
        logits.tolist(), reference.segment_kinds(*masks, *keys, extra["overlap"], UPPER, LOWER)
    )
  if name in GLOBAL:
    kinds = reference.pair_kinds(*masks, *keys, DUPLICATES[name])
    logits = SCALE * np.array(reference.cosines(batch.video, batch.text)) + BIAS
    loss = reference.infonce if name == "softmax" else reference.sigmoid
    return loss(logits.tolist(), kinds)
  return reference.latent(
      batch.video, batch.text, *masks, *keys,
      variant=LATENT[name], temperature=TEMPERATURE, scale=SCALE, duplicates=DUPLICATES[name],
  )


def assert_equal(ring: tuple, dense: tuple) -> None:
  """Loss, metrics and gradients; of a gradient to 1e-5 of its largest value."""
  (output, gradients), (dense_output, dense_gradients) = ring, dense
  close = functools.partial(np.testing.assert_allclose, rtol=1e-5)
  close(output.loss, dense_output.loss, atol=1e-7)
  assert output.metrics.keys() == dense_output.metrics.keys()
  jax.tree.map(close, output.metrics, dense_output.metrics)
  assert gradients.keys() == dense_gradients.keys()
  for field, expected in dense_gradients.items():
    found = gradients[field]
    assert found.dtype == expected.dtype
    expected, found = (np.asarray(x, np.float32) for x in (expected, found))
    close(found, expected, atol=1e-5 * np.abs(expected).max(), err_msg=field)


@losses
@settings(max_examples=5)
@given(seed=st.integers(0, 1000), real=st.sampled_from([0.1, 0.6, 0.9, 1.0]))
def test_equals_dense_and_loops(name: str, seed: int, real: float) -> None:
  batch, extra = make_batch(name, seed, real)
  ring, dense = (call(*batch.sides(), **extra) for call in compiled(name))
  assert_equal(ring, dense)
  np.testing.assert_allclose(ring[0].loss, by_loops(name, batch, extra), rtol=2e-5, atol=2e-6)


@losses
def test_devices_of_padding_change_nothing_whatever_they_hold(name: str) -> None:
  """The second and the fourth device: no video, or no text, and no number either."""
  batch, extra = make_batch(name, seed=1, real=0.9)
  a_device = ROWS // 4
  second, fourth = np.s_[a_device : 2 * a_device], np.s_[3 * a_device :]
  texts_of_fourth = np.s_[3 * a_device * CAPTIONS :]
  batch.video_mask[second] = batch.video_mask[fourth] = False
  batch.text_mask[texts_of_fourth] = False
  batch.video_key[fourth] = batch.video_key[0]
  clean = [call(*batch.sides(), **extra) for call in compiled(name)]
  assert_equal(*clean)
  assert clean[0][0].loss > 0
  batch.video[second], batch.video[fourth], batch.text[texts_of_fourth] = np.nan, np.inf, np.nan
  dirty = compiled(name)[0](*batch.sides(), **extra)
  jax.tree.map(np.testing.assert_array_equal, dirty, clean[0])
  assert not np.any(dirty[1]["video"][second])


@losses
def test_a_batch_of_padding_is_zero_with_zero_gradients(name: str) -> None:
  batch, extra = make_batch(name, seed=2, real=0.0)
  output, gradients = compiled(name)[0](*batch.sides(), **extra)
  assert output.loss == 0
  assert {float(x) for pair in output.metrics.values() for x in pair} == {0.0}
  for gradient in gradients.values():
    np.testing.assert_array_equal(gradient, 0.0)


@losses
def test_a_broken_number_in_a_real_row_is_not_hidden(name: str) -> None:
  """The train loop stops on a loss that is not finite: it must get to see it."""
  batch, extra = make_batch(name, seed=3)
  batch.text[7] = np.nan
  ring, dense = (call(*batch.sides(), **extra) for call in compiled(name))
  assert not np.isfinite(dense[0].loss)
  assert not np.isfinite(ring[0].loss)


@pytest.mark.parametrize("name", ["softmax", "sigmoid", "timed", "latent_max"])
def test_equal_bests_share_the_point_across_devices(name: str) -> None:
  """Of the losses whose logits are exact here; where they are rounded, so are ties."""
  batch, extra = make_batch(name, seed=4, real=0.8)
  batch.video[:] = batch.text[:] = 0.0
  batch.video[..., 0] = batch.text[..., 0] = 1.0
  ring, dense = (call(*batch.sides(), **extra) for call in compiled(name))
  for metric, (hits, rows) in dense[0].metrics.items():
    np.testing.assert_allclose(ring[0].metrics[metric], (hits, rows), rtol=1e-6)
    assert metric == "segments_with_positive" or 0 < hits < rows


@losses
@pytest.mark.parametrize("scale", [99.0, 1e6])
def test_large_and_clipped_scales(name: str, scale: float) -> None:
  """At 100 a float32 logit is known to 4e-6, and its exponential no better: so are gradients."""
  batch, extra = make_batch(name, seed=5, real=0.9)
  ring, dense = (
      call(*batch.sides(), **extra, log_scale=math.log(scale)) for call in compiled(name)
  )
  np.testing.assert_allclose(ring[0].loss, dense[0].loss, rtol=1e-5)
  for field, expected in dense[1].items():
    np.testing.assert_allclose(
        ring[1][field], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )
  if scale > 100:
    assert ring[1]["log_scale"] == 0


@pytest.mark.parametrize("name", ["sigmoid", "timed"])
def test_half_precision_embeddings_are_computed_in_float32(name: str) -> None:
  batch, extra = make_batch(name, seed=6, real=0.9)
  half = [
      dataclasses.replace(s, embedding=s.embedding.astype(jnp.bfloat16)) for s in batch.sides()
  ]
  rounded = [dataclasses.replace(s, embedding=s.embedding.astype(jnp.float32)) for s in half]
  ring, dense = compiled(name)
  (output, gradients), (of_rounded, _) = (ring(*sides, **extra) for sides in (half, rounded))
  np.testing.assert_array_equal(output.loss, of_rounded.loss)
  assert gradients["video"].dtype == gradients["text"].dtype == jnp.bfloat16
  # Rounded once, at the end: a rounding after every block would be off by far more.
  _, expected = dense(*half, **extra)
  for field in ("video", "text"):
    np.testing.assert_allclose(
        np.asarray(gradients[field], np.float32), np.asarray(expected[field], np.float32),
        rtol=2**-7, atol=1e-6,
    )


def largest_array(jaxpr: jax.extend.core.Jaxpr) -> int:
  """The number of elements of the largest array any equation makes, inner programs included."""
  sizes = [v.aval.size for e in jaxpr.eqns for v in e.outvars if hasattr(v.aval, "size")]
  inner = [
      largest_array(getattr(x, "jaxpr", x))
      for e in jaxpr.eqns
      for param in e.params.values()
      for x in (param if isinstance(param, (tuple, list)) else [param])
      if hasattr(x, "eqns") or hasattr(x, "jaxpr")
  ]
  return max([0, *sizes, *inner])


@losses
def test_no_array_is_larger_than_the_batch_or_a_block(name: str) -> None:
  batch, extra = make_batch(name, seed=7)
  video, text = batch.sides()
  scalars = {"log_scale": jnp.float32(0)} | ({"bias": jnp.float32(0)} if name in GLOBAL else {})

  def largest(loss: Callable[..., LossOutput]) -> int:
    def value(embeddings, scalars):
      sides = (
          dataclasses.replace(side, embedding=x)
          for side, x in zip((video, text), embeddings, strict=True)
      )
      return loss(*sides, **scalars, **extra).loss

    gradient = jax.grad(value, argnums=(0, 1))
    return largest_array(jax.make_jaxpr(gradient)((video.embedding, text.embedding), scalars).jaxpr)

  options = of_four(name)
  # A gradient joins arrays over pairs two by two, and Sinkhorn keeps a text's share of each round.
  times = max(2, latent.SINKHORN_ITERATIONS / batches.VIDEO_SEGMENTS if "sinkhorn" in name else 0)
  allowed = max(batch.text.size, times * options["block"])
  assert largest(loss_function(name, **options)) <= allowed
  assert largest(loss_function(name)) >= batch.video_mask.size * batch.text_mask.size > allowed


def test_inside_a_rematerialised_scan() -> None:
  """As an accumulation over micro batches has it: the gradient is taken from outside."""
  batch, _ = make_batch("softmax", seed=8)
  video, text = batch.sides()

  def total(embedding: jax.Array, loss: Callable[..., LossOutput]) -> jax.Array:
    @jax.checkpoint
    def step(carry: jax.Array, turn: jax.Array) -> tuple[jax.Array, None]:
      side = dataclasses.replace(video, embedding=jnp.roll(embedding, turn, axis=0))
      output = loss(side, text, log_scale=jnp.float32(1), bias=jnp.float32(0))
      return carry + output.loss, None

    return jax.lax.scan(step, jnp.float32(0), jnp.arange(2))[0]

  gradient = jax.jit(jax.grad(total), static_argnums=1)
  ring = gradient(video.embedding, loss_function("softmax", **of_four("softmax")))
  dense = gradient(video.embedding, loss_function("softmax"))
  np.testing.assert_allclose(ring, dense, rtol=1e-5, atol=1e-5 * np.abs(dense).max())


def test_rows_that_do_not_divide_are_named() -> None:
  batch, _ = make_batch("softmax", seed=9)
  with pytest.raises(UserError, match="18 video rows do not divide over 4 devices"):
    loss_function("softmax", **of_four("softmax"))(
        *batch.rows(np.arange(18)).sides(), log_scale=jnp.float32(0), bias=jnp.float32(0)
    )


def test_a_ring_needs_a_mesh() -> None:
  batch, _ = make_batch("softmax", seed=9)
  with pytest.raises(UserError, match="pass mesh="):
    loss_function("softmax", impl="ring")(
        *batch.sides(), log_scale=jnp.float32(0), bias=jnp.float32(0)
    )
