"""The same train step twice, in mla_jax and in PyTorch, checked to compute the same."""

from collections.abc import Callable, Mapping
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import optax
import torch

from benchmarks.torch_model import TorchRetrieval, load, torch_name
from configs import common
from mla_jax.losses import contrastive
from mla_jax.losses.types import Side
from mla_jax.models.build import build_model
from mla_jax.models.mla import MLA
from mla_jax.sharding import named_leaves

Batch = Mapping[str, np.ndarray]
Params = Any
_LEARNING_RATE, _B1, _B2, _EPS, _WEIGHT_DECAY = 1e-3, 0.9, 0.98, 1e-8, 0.05


@dataclasses.dataclass(frozen=True)
class StepPair:
  """Both steps, as closures that take one and return its loss."""

  shapes: str
  agreement: str
  steps: dict[str, Callable[[], float]]


def make(kind: str, *, dropout: float, compiled: bool) -> StepPair:
  """Both sides of one kind of input: "features" or "pixels".

  Raises:
    AssertionError: they do not compute the same.
  """
  model = build_model(_config(kind, dropout))
  batch = _batch(kind, np.random.default_rng(0))
  params = jax.jit(model.init)(jax.random.key(0), batch)["params"]
  torch_batch = {
      key: torch.from_numpy(value.astype(np.int64) if value.dtype == np.int32 else value)
      for key, value in batch.items()
  }
  side = batch["video"].shape[2] // model.video_config.patch_size
  module = TorchRetrieval(model, (side, side))
  load(module, _used(params))
  return StepPair(
      shapes=f"batch {len(batch['text'])}, video {list(batch['video'].shape[1:])}, 32 tokens",
      agreement=_check(model, params, module, batch, torch_batch),
      steps={
          "mla_jax": _jax_step(model, params, batch),
          "pytorch": _torch_step(module, torch_batch, compiled),
      },
  )


def _config(kind: str, dropout: float) -> ConfigDict:
  """The shared model of the configs, without the answers."""
  config = common.model()
  config.video.kind = kind
  config.num_answers = 0
  config.dropout = dropout
  return config


def _batch(kind: str, rng: np.random.Generator) -> Batch:
  """Random content, clips and texts of ragged length."""
  rows, frames, length = (128, 12, 32) if kind == "features" else (16, 8, 32)
  if kind == "features":
    video = rng.normal(size=(rows, frames, 1280)).astype(np.float32)
  else:
    video = rng.integers(0, 256, (rows, frames, 112, 112, 3)).astype(np.uint8)
  return {
      "video": video,
      "frame_mask": np.arange(frames) < rng.integers(2, frames + 1, (rows, 1)),
      "frame_time": np.tile(np.arange(frames, dtype=np.float32), (rows, 1)),
      "frame_segment": np.ones((rows, frames), np.int32),
      "text": rng.integers(0, 4000, (rows, length)).astype(np.int32),
      "text_mask": np.arange(length) < rng.integers(5, length + 1, (rows, 1)),
      "text_segment": np.ones((rows, length), np.int32),
  }


def _loss(
    params: Params, model: MLA, batch: Batch, rng: jax.Array, train: bool
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  """Global alignment, and the embeddings it is of."""

  def forward(model: MLA) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    clip = (batch[key] for key in ("video", "frame_mask", "frame_time", "frame_segment"))
    words = (batch[key] for key in ("text", "text_mask", "text_segment"))
    video = model.encode_video(*clip, segments=1, train=train).global_embedding
    text = model.encode_text(*words, segments=1, train=train).global_embedding
    real, key = jnp.ones(video.shape[0], bool), jnp.arange(video.shape[0])
    scales = model.scales()
    output = contrastive.softmax_alignment(
        Side(video, real, key),
        Side(text, real, key),
        log_scale=scales.global_log_scale,
        bias=scales.global_bias,
        duplicates="positive",
    )
    return output.loss, (video, text)

  return model.apply({"params": params}, method=forward, rngs={"dropout": rng})


def _used(params: Params) -> dict[str, np.ndarray]:
  """Parameters by path, without those the global alignment does not read."""
  unread = ("_segment/", "segment_log_scale", "global_bias")
  return {
      path: np.asarray(leaf)
      for path, leaf in named_leaves(params).items()
      if not any(part in path for part in unread)
  }


def _check(
    model: MLA,
    params: Params,
    module: TorchRetrieval,
    batch: Batch,
    torch_batch: Mapping[str, torch.Tensor],
) -> str:
  """Asserts that embeddings and loss agree to 1e-4 and gradients to 1e-3 of their largest value."""
  grad = jax.jit(jax.value_and_grad(_loss, has_aux=True), static_argnums=(1, 4))
  (loss, embeddings), gradients = grad(params, model, batch, jax.random.key(0), False)
  module.eval()
  torch_loss, torch_embeddings = module.loss(torch_batch)
  torch_loss.backward()
  np.testing.assert_allclose(loss, torch_loss.item(), rtol=1e-4)
  for ours, theirs in zip(embeddings, torch_embeddings, strict=True):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-4)
  named = dict(module.named_parameters())
  worst = 0.0
  for path, ours in _used(gradients).items():
    theirs = named[torch_name(path)].grad.numpy()
    theirs = theirs.T if path.endswith("kernel") else theirs
    worst = max(worst, float(np.abs(ours - theirs).max() / np.abs(theirs).max()))
  assert worst < 1e-3, f"gradients differ by {worst:.1e}"
  module.zero_grad()
  module.train()
  return f"loss {loss:.6f} and {torch_loss.item():.6f}, gradients differ by {worst:.0e}"


def _jax_step(model: MLA, params: Params, batch: Batch) -> Callable[[], float]:
  tx = optax.adamw(_LEARNING_RATE, b1=_B1, b2=_B2, eps=_EPS, weight_decay=_WEIGHT_DECAY)

  @functools.partial(jax.jit, donate_argnums=0)
  def step(state: tuple[Params, Any, jax.Array], batch: Batch) -> tuple[Any, jax.Array]:
    params, opt_state, number = state
    rng = jax.random.fold_in(jax.random.key(0), number)
    (loss, _), grads = jax.value_and_grad(_loss, has_aux=True)(params, model, batch, rng, True)
    updates, opt_state = tx.update(grads, opt_state, params)
    return (optax.apply_updates(params, updates), opt_state, number + 1), loss

  state = (params, tx.init(params), jnp.int32(0))
  device_batch = jax.device_put(batch)

  def run() -> float:
    nonlocal state
    state, loss = jax.block_until_ready(step(state, device_batch))
    return float(loss)

  return run


def _torch_step(
    module: TorchRetrieval, batch: Mapping[str, torch.Tensor], compiled: bool
) -> Callable[[], float]:
  optimizer = torch.optim.AdamW(
      module.parameters(),
      lr=_LEARNING_RATE,
      betas=(_B1, _B2),
      eps=_EPS,
      weight_decay=_WEIGHT_DECAY,
      fused=True,
  )
  loss_fn = torch.compile(module.loss) if compiled else module.loss

  def run() -> float:
    optimizer.zero_grad(set_to_none=True)
    loss, _ = loss_fn(batch)
    loss.backward()
    optimizer.step()
    return float(loss.item())

  return run
