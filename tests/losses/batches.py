"""Tiny random batches, and a numeric derivative to hold a gradient against."""

from collections.abc import Callable
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from mla_jax.losses.types import LossOutput, Side

ROWS, VIDEO_SEGMENTS, TEXT_SEGMENTS, WIDTH = 4, 3, 2, 5


@dataclasses.dataclass(frozen=True)
class Batch:
  """Numpy arrays of both sides; `video_mask` is [B] or [B, N], `text_mask` [R] or [R, M]."""

  video: np.ndarray
  text: np.ndarray
  video_mask: np.ndarray
  text_mask: np.ndarray
  video_key: np.ndarray

  @property
  def captions(self) -> int:
    return len(self.text) // len(self.video)

  @property
  def text_key(self) -> np.ndarray:
    return np.repeat(self.video_key, self.captions)

  def sides(self) -> tuple[Side, Side]:
    return side(self.video, self.video_mask, self.video_key), side(
        self.text, self.text_mask, self.text_key
    )

  def rows(self, index: np.ndarray) -> "Batch":
    """These videos with their texts, in this order."""
    texts = (index[:, None] * self.captions + np.arange(self.captions)).ravel()
    return Batch(
        self.video[index],
        self.text[texts],
        self.video_mask[index],
        self.text_mask[texts],
        self.video_key[index],
    )


def side(embedding: np.ndarray, mask: np.ndarray, key: np.ndarray) -> Side:
  return Side(
      embedding=jnp.asarray(embedding, jnp.float32), mask=jnp.asarray(mask), key=jnp.asarray(key)
  )


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
  values = rng.normal(size=shape)
  values /= np.linalg.norm(values, axis=-1, keepdims=True)
  return values.astype(np.float32).astype(np.float64)  # The same numbers in both precisions.


def random_batch(seed: int, *, captions: int = 1, segments: bool = False) -> Batch:
  """`ROWS` videos, rows 1 and 3 of the same one, every row real."""
  rng = np.random.default_rng(seed)
  video_shape = (ROWS, VIDEO_SEGMENTS) if segments else (ROWS,)
  text_shape = (ROWS * captions, TEXT_SEGMENTS) if segments else (ROWS * captions,)
  return Batch(
      video=unit(rng, *video_shape, WIDTH),
      text=unit(rng, *text_shape, WIDTH),
      video_mask=np.ones(video_shape, bool),
      text_mask=np.ones(text_shape, bool),
      video_key=np.array([7, 3, 5, 3], np.int32),
  )


def slope(function: Callable[[np.ndarray], float], at: np.ndarray, along: np.ndarray) -> float:
  """The derivative of a float64 function in one direction, by central differences."""
  step = 1e-6
  return (function(at + step * along) - function(at - step * along)) / (2 * step)


def with_gradients(
    loss: Callable[..., LossOutput],
) -> Callable[..., tuple[LossOutput, dict[str, jax.Array]]]:
  """The loss and its gradient by both embeddings and every keyword, compiled once a shape.

  One program for everything a test asks keeps these tests fast: compiling is all their time.
  """

  def value(
      differentiated: dict[str, jax.Array], video: Side, text: Side, rest: dict[str, jax.Array]
  ) -> tuple[jax.Array, LossOutput]:
    keywords = dict(differentiated)
    video = dataclasses.replace(video, embedding=keywords.pop("video"))
    text = dataclasses.replace(text, embedding=keywords.pop("text"))
    output = loss(video, text, **keywords, **rest)
    return output.loss, output

  compiled = jax.jit(jax.value_and_grad(value, has_aux=True))

  def call(
      video: Side, text: Side, overlap: np.ndarray | None = None, **scalars: float
  ) -> tuple[LossOutput, dict[str, jax.Array]]:
    rest = {} if overlap is None else {"overlap": jnp.asarray(overlap)}
    differentiated = {"video": video.embedding, "text": text.embedding} | {
        name: jnp.float32(x) for name, x in scalars.items()
    }
    (_, output), gradients = compiled(differentiated, video, text, rest)
    return output, gradients

  return call
