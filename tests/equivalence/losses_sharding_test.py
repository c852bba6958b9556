"""Every alignment loss on 8 devices, the batch split over them, equals the loss on one."""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import pytest

from mla_jax.losses import contrastive, latent, segment
from mla_jax.losses.types import LossOutput, Side
from mla_jax.sharding import batch_sharding, make_mesh, replicated

ROWS, CAPTIONS, VIDEO_SEGMENTS, TEXT_SEGMENTS, WIDTH = 16, 2, 3, 2, 8

GLOBAL: dict[str, Callable[..., LossOutput]] = {
    "softmax": functools.partial(contrastive.softmax_alignment, duplicates="positive"),
    "sigmoid": functools.partial(contrastive.sigmoid_alignment, duplicates="mask"),
}
LATENT: dict[str, Callable[..., LossOutput]] = {
    f"latent {variant}": functools.partial(
        segment.latent_alignment, variant=variant, temperature=0.1, duplicates="positive"
    )
    for variant in latent.VARIANTS
}

Arrays = dict[str, jax.Array]
Results = dict[str, tuple[tuple[jax.Array, LossOutput], Arrays]]


def make_batch() -> dict[str, np.ndarray]:
  """Duplicate videos on far apart rows, padding rows and segments, every kind of overlap."""
  rng = np.random.default_rng(0)
  texts = ROWS * CAPTIONS

  def unit(*shape: int) -> np.ndarray:
    values = rng.normal(size=shape).astype(np.float32)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)

  key = np.arange(ROWS, dtype=np.int32)
  key[[9, 14]] = key[2]
  real = np.ones(ROWS, bool)
  real[-3:] = False
  text_real = np.repeat(real, CAPTIONS) & (rng.random(texts) < 0.9)
  video_segments = rng.random((ROWS, VIDEO_SEGMENTS)) < 0.8
  text_segments = rng.random((texts, TEXT_SEGMENTS)) < 0.8
  overlap = rng.choice([-1.0, 0.1, 0.3, 0.7], (texts, VIDEO_SEGMENTS, TEXT_SEGMENTS))
  return {
      "key": key,
      "text_key": np.repeat(key, CAPTIONS),
      "real": real,
      "text_real": text_real,
      "segment_real": real[:, None] & video_segments,
      "text_segment_real": text_real[:, None] & text_segments,
      "overlap": overlap.astype(np.float32),
      "video": unit(ROWS, WIDTH),
      "text": unit(texts, WIDTH),
      "video_segments": unit(ROWS, VIDEO_SEGMENTS, WIDTH),
      "text_segments": unit(texts, TEXT_SEGMENTS, WIDTH),
  }


def all_losses(scalars: Arrays, batch: Arrays) -> Results:
  """Every loss with its gradients by embeddings and scalars, in one program: compiled once."""

  def whole(loss: Callable[..., LossOutput], inputs: Arrays) -> tuple[jax.Array, LossOutput]:
    video = Side(inputs["video"], batch["real"], batch["key"])
    text = Side(inputs["text"], batch["text_real"], batch["text_key"])
    output = loss(video, text, log_scale=inputs["log_scale"], bias=inputs["bias"])
    return output.loss, output

  def parts(loss: Callable[..., LossOutput], inputs: Arrays) -> tuple[jax.Array, LossOutput]:
    video = Side(inputs["video_segments"], batch["segment_real"], batch["key"])
    text = Side(inputs["text_segments"], batch["text_segment_real"], batch["text_key"])
    output = loss(video, text, log_scale=inputs["log_scale"])
    return output.loss, output

  timed = functools.partial(
      segment.timed_alignment, overlap=batch["overlap"], upper=0.5, lower=0.2
  )
  functions = {name: functools.partial(whole, loss) for name, loss in GLOBAL.items()}
  functions |= {
      name: functools.partial(parts, loss) for name, loss in (LATENT | {"timed": timed}).items()
  }
  names = ("video", "text", "video_segments", "text_segments")
  inputs = scalars | {name: batch[name] for name in names}
  return {
      name: jax.value_and_grad(function, has_aux=True)(inputs)
      for name, function in functions.items()
  }


@functools.cache
def results(data: int, fsdp: int) -> Results:
  devices = jax.devices()[: data * fsdp]
  mesh = make_mesh(ConfigDict({"data": data, "fsdp": fsdp}), devices)
  batch = jax.device_put(make_batch(), batch_sharding(mesh))
  assert batch["video"].sharding.shard_shape(batch["video"].shape)[0] == ROWS // len(devices)
  scalars = {"log_scale": jnp.float32(2.0), "bias": jnp.float32(-3.0)}
  return jax.device_get(jax.jit(all_losses)(jax.device_put(scalars, replicated(mesh)), batch))


@pytest.mark.parametrize("mesh", [(8, 1), (4, 2)])
def test_eight_devices_equal_one(mesh: tuple[int, int]) -> None:
  many, one = results(*mesh), results(1, 1)
  for name in [*GLOBAL, *LATENT, "timed"]:
    (loss, output), gradients = many[name]
    (one_loss, one_output), one_gradients = one[name]
    assert one_loss > 0
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, err_msg=name)
    close(loss, one_loss)
    jax.tree.map(close, output.metrics, one_output.metrics)
    assert sum(bool(np.any(gradient)) for gradient in one_gradients.values()) >= 3
    for field, gradient in gradients.items():
      expected = one_gradients[field]
      close(gradient, expected, atol=1e-5 * np.abs(expected).max(), err_msg=f"{name} {field}")
