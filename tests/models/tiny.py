"""A model small enough to compile in seconds, and random batches for it."""

from collections.abc import Mapping
import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from configs import common
from mla_jax.models import mla

Batch = dict[str, np.ndarray]
FEATURES, VOCABULARY = 10, 30
VIDEO_KEYS = ("video", "frame_mask", "frame_time", "frame_segment")

_SIZES = {
    "width": 16,
    "embed_dim": 12,
    "num_answers": 7,
    "dropout": 0.0,
    "video.feature_width": FEATURES,
    "video.patch_size": 4,
    "video.frame_layers": 1,
    "video.temporal_layers": 1,
    "video.heads": 2,
    "video.max_frames": 12,
    "text.vocab_size": VOCABULARY,
    "text.layers": 1,
    "text.heads": 2,
    "text.max_length": 16,
    "fusion.layers": 1,
    "fusion.heads": 2,
}


def config(changes: Mapping[str, Any] | None = None) -> ConfigDict:
  """`common.model()` at a tiny size; `changes` by dotted key."""
  tiny = common.model()
  tiny.update_from_flattened_dict({**_SIZES, **(changes or {})})
  return tiny


def batch(rows: int = 4, *, pixels: bool = False, seed: int = 0) -> Batch:
  """Clips of up to 6 frames in 3 segments, texts of up to 8 tokens in 2; ragged."""
  rng = np.random.default_rng(seed)
  frames, length = 6, 8
  video = rng.normal(size=(rows, frames, FEATURES)).astype(np.float32)
  if pixels:
    video = rng.integers(0, 256, (rows, frames, 8, 12, 3)).astype(np.uint8)
  frame_mask = np.arange(frames) < rng.integers(2, frames + 1, (rows, 1))
  text_mask = np.arange(length) < rng.integers(2, length + 1, (rows, 1))
  time = np.cumsum(rng.uniform(0.2, 2.0, (rows, frames)), axis=1)
  return {
      "video": video,
      "frame_mask": frame_mask,
      "frame_time": np.where(frame_mask, time, 0.0).astype(np.float32),
      "frame_segment": np.where(frame_mask, np.arange(frames) // 2 + 1, 0).astype(np.int32),
      "text": rng.integers(0, VOCABULARY, (rows, length)).astype(np.int32),
      "text_mask": text_mask,
      "text_segment": np.where(text_mask, np.arange(length) // 4 + 1, 0).astype(np.int32),
  }


@functools.cache
def params(model: mla.MLA) -> Any:
  """Random parameters, none of them zero: the zeros of a fresh model hide what they multiply."""
  made = jax.eval_shape(
      model.init, jax.random.key(0), batch(pixels=model.video_config.kind == "pixels")
  )
  rng = np.random.default_rng(0)

  def draw(path: Any, leaf: jax.ShapeDtypeStruct) -> jax.Array:
    name = path[-1].key
    size = 1.0 / np.sqrt(leaf.shape[-2]) if name == "kernel" else 0.3
    values = rng.normal(name == "scale", size, leaf.shape)
    return jnp.asarray(values, leaf.dtype)

  return jax.tree_util.tree_map_with_path(draw, made["params"])


@functools.partial(jax.jit, static_argnames="model")
def init(model: mla.MLA, batch: Batch) -> Any:
  """The parameters of a fresh model."""
  return model.init(jax.random.key(0), batch)["params"]


def outputs(
    model: mla.MLA, batch: Batch, *, segments: tuple[int, int] = (3, 2), train: bool = False
) -> dict[str, Any]:
  """All the model gives for so many segments of either side; a method for `model.apply`."""
  words = (batch[key] for key in mla.TEXT)
  text = model.encode_text(*words, segments=segments[1], train=train)
  result = {"text": text, "scales": model.scales()}
  if model.use_video:
    clip = (batch[key] for key in VIDEO_KEYS)
    result["video"] = model.encode_video(*clip, segments=segments[0], train=train)
  if model.num_answers:
    result["logits"] = model.answer_logits(text, result.get("video"), train=train)
  return result


@functools.partial(jax.jit, static_argnames=("model", "segments", "train"))
def run(
    model: mla.MLA,
    params: Any,
    batch: Batch,
    rng: jax.Array | None = None,
    *,
    segments: tuple[int, int] = (3, 2),
    train: bool = False,
) -> dict[str, Any]:
  """`outputs` under jit."""
  rngs = {} if rng is None else {"dropout": rng}
  return model.apply(
      {"params": params}, batch, segments=segments, train=train, method=outputs, rngs=rngs
  )


def scalar(model: mla.MLA, params: Any, batch: Batch) -> jax.Array:
  """A number that every output moves."""
  result = model.apply({"params": params}, batch, method=outputs)
  floats = [x for x in jax.tree.leaves(result) if jnp.issubdtype(x.dtype, jnp.floating)]
  return sum((jnp.sin(3.0 * x.astype(jnp.float32)).sum() for x in floats), start=jnp.float32(0.0))


@functools.partial(jax.jit, static_argnames="model")
def value_and_grad(model: mla.MLA, params: Any, batch: Batch) -> tuple[jax.Array, Any]:
  """`scalar` and its gradient with respect to the parameters."""
  return jax.value_and_grad(scalar, argnums=1)(model, params, batch)


def stacked(params: dict[str, Any]) -> dict[str, Any]:
  """`layer_0`, `layer_1`, ... to `layers`, everywhere."""
  result: dict[str, Any] = {}
  numbered = []
  for name, value in params.items():
    if name.startswith("layer_"):
      numbered.append((int(name.removeprefix("layer_")), value))
    else:
      result[name] = stacked(value) if isinstance(value, dict) else value
  if numbered:
    ordered = [value for _, value in sorted(numbered, key=lambda pair: pair[0])]
    result["layers"] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *ordered)
  return result


def named(tree: Any) -> dict[str, Any]:
  """Leaves by their path "a/b/c"."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def assert_close(actual: Any, expected: Any, *, atol: float, rtol: float = 0.0) -> None:
  """Trees of the same structure, leaf by leaf."""
  jax.tree.map(
      lambda a, b: np.testing.assert_allclose(
          np.asarray(a, np.float32), np.asarray(b, np.float32), atol=atol, rtol=rtol
      ),
      actual,
      expected,
  )
