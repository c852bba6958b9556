"""Windows of time over a clip's frames: which are proposed, and which frames are in each."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

_GROWTH = math.sqrt(2.0)  # From one scale to the next.
_STEPS = 4  # A window moves by this part of its length.


def sliding_places(frames: int) -> Int[np.ndarray, "W 2"]:
  """Sliding windows at several scales as (first, end) places of T frames, end exclusive.

  Lengths grow from one frame to all by a factor of about the square root of two; a window moves by
  a quarter of its length, at least one frame. The last is all T frames. For T = 64 these are some
  400 of the 2,080 windows there are.
  """
  places = []
  length = 1
  while length < frames:
    stride = max(1, length // _STEPS)
    starts = {*range(0, frames - length + 1, stride), frames - length}
    places += [(start, start + length) for start in sorted(starts)]
    length = max(length + 1, round(length * _GROWTH))
  return np.array([*places, (0, frames)], np.int32)


def sliding_windows(
    span: Float[Array, "B T 2"], frame_mask: Bool[Array, "B T"]
) -> tuple[Float[Array, "B W 2"], Bool[Array, "B W"]]:
  """The seconds of the sliding windows of each clip, and which are there.

  Those that reach behind a shorter clip's frames are not; the last is always the whole clip.
  """
  places = sliding_places(span.shape[1])
  taken = frame_mask.sum(axis=1)[:, None]
  last = jnp.maximum(jnp.minimum(places[:, 1], taken) - 1, 0)
  start = jnp.broadcast_to(span[:, places[:, 0], 0], last.shape)
  end = jnp.take_along_axis(span[..., 1], last, axis=1)
  whole = np.arange(len(places)) == len(places) - 1
  real = ((places[:, 1] <= taken) | whole) & (taken > 0)
  return jnp.where(real[..., None], jnp.stack([start, end], axis=-1), 0.0), real


def members(
    windows: Float[Array, "B W 2"], span: Float[Array, "B T 2"], frame_mask: Bool[Array, "B T"]
) -> Bool[Array, "B W T"]:
  """The frames of each window: those whose middle lies in it, or else the one nearest to its own.

  So every window of a clip with frames has at least one, and contiguous ones.
  """
  middle = jnp.where(frame_mask, span.mean(axis=-1), jnp.inf)[:, None]  # [B, 1, T]
  start, end = windows[..., 0][..., None], windows[..., 1][..., None]
  inside = (start <= middle) & (middle < end) & frame_mask[:, None]
  distance = jnp.abs(middle - (start + end) / 2)
  nearest = jax.nn.one_hot(distance.argmin(axis=-1), span.shape[1], dtype=bool)
  found = jnp.where(inside.any(axis=-1, keepdims=True), inside, nearest)
  return found & frame_mask[:, None]
