"""Frames, as pixels or features, to contextual frame states."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped, UInt8

from mla_jax.errors import UserError
from mla_jax.models import layers, pooling, primitives

WAVES = 8  # Sines, and as many cosines, of a frame's relative time.


@dataclasses.dataclass(frozen=True)
class VideoConfig:
  """Sizes of the video encoder; `patch_size`, `frame_layers`, `motion` matter for pixels only."""

  kind: str  # "features" or "pixels".
  feature_width: int
  feature_dropout: float
  head_hidden: int  # Of the MLP from what is pooled to the shared space; 0: a projection.
  regressor_hidden: int  # Of the MLP to the space of a pretrained text encoder; 0: there is none.
  regressor_dropout: float
  patch_size: int
  frame_layers: int
  motion: bool
  temporal_layers: int
  heads: int
  max_frames: int


class FeatureFrames(nn.Module):
  """Layer norm and projection of features extracted beforehand.

  `feature_dropout` drops a channel in all frames of a clip at once: dropped here and there, the
  other frames would tell its value.
  """

  common: layers.Common
  config: VideoConfig

  @nn.compact
  def __call__(
      self, video: Float[Array, "B T F"], mask: Bool[Array, "B T"], *, train: bool
  ) -> Float[Array, "B T D"]:
    width, dtype = self.common.width, self.common.dtype
    if video.ndim != 3 or video.shape[-1] != self.config.feature_width:
      raise UserError(
          f"model.video: expects features [batch, frames, {self.config.feature_width}] and the"
          f" batch has {list(video.shape)}: set model.video.kind and model.video.feature_width to"
          " what the prepared media hold"
      )
    x = primitives.LayerNorm(dtype, name="norm")(video)
    x = primitives.Dropout(self.config.feature_dropout, shared=(1,))(x, train=train)
    return primitives.Dense(width, dtype=dtype, name="projection")(x)


class PixelFrames(nn.Module):
  """A vision transformer on each frame by itself, its patches pooled by attention.

  With `motion` a patch is embedded together with what changed in it since the frame before.
  """

  common: layers.Common
  config: VideoConfig

  @nn.compact
  def __call__(
      self, video: UInt8[Array, "B T H W 3"], mask: Bool[Array, "B T"], *, train: bool
  ) -> Float[Array, "B T D"]:
    width, dtype, heads = self.common.width, self.common.dtype, self.config.heads
    patches, grid = cut_patches(video, self.config.patch_size)
    pixels = patches.astype(dtype) / 127.5 - 1.0
    x = primitives.Dense(width, dtype=dtype, name="patch")(pixels)
    if self.config.motion:
      change = since_frame_before(pixels.reshape(*mask.shape, *pixels.shape[1:]), mask)
      change = change.reshape(pixels.shape)
      x += primitives.Dense(width, use_bias=False, dtype=dtype, name="motion")(change)
    x += self._position(grid).astype(dtype)
    x = primitives.Dropout(self.common.dropout)(x, train=train)
    everything = jnp.ones(x.shape[:2], bool)
    x = layers.transformer(self.common, self.config.frame_layers, heads, x, everything, train=train)
    pooled = pooling.AttentionPool(heads, dtype, name="pool")(x, everything[:, None])
    return pooled.reshape(*video.shape[:2], width)

  def _position(self, grid: tuple[int, int]) -> Float[Array, "P D"]:
    """Learned positions, born with the grid of `init`."""
    width = self.common.width
    born = grid
    if self.has_variable("params", "position"):
      born = self.get_variable("params", "position").shape[:2]
    table = self.param("position", primitives.place_init, (*born, width), jnp.float32)
    return fit_position(table, grid).reshape(-1, width)


def fit_position(table: Float[Array, "R C D"], grid: tuple[int, int]) -> Float[Array, "r c D"]:
  """A table of positions for another grid, by bilinear interpolation."""
  if table.shape[:2] == grid:
    return table
  return jax.image.resize(table, (*grid, table.shape[-1]), "bilinear")


def cut_patches(
    video: UInt8[Array, "B T H W 3"], size: int
) -> tuple[UInt8[Array, "BT P C"], tuple[int, int]]:
  """Frames as rows of flattened `size` x `size` patches, and the grid these stand in.

  Raises:
    UserError: not RGB frames whose sides are multiples of `size`.
  """
  if video.ndim != 5 or video.shape[-1] != 3 or video.shape[2] % size or video.shape[3] % size:
    raise UserError(
        "model.video: expects frames [batch, frames, height, width, 3] whose sides are multiples of"
        f" patch_size {size} and the batch has {list(video.shape)}: change data.image_size,"
        " model.video.patch_size or model.video.kind"
    )
  batch, frames, height, width, _ = video.shape
  rows, columns = height // size, width // size
  video = video.reshape(batch * frames, rows, size, columns, size, 3).swapaxes(2, 3)
  return video.reshape(batch * frames, rows * columns, size * size * 3), (rows, columns)


def since_frame_before(
    pixels: Float[Array, "B T P C"], mask: Bool[Array, "B T"]
) -> Float[Array, "B T P C"]:
  """What differs from the real frame before; zeros in the first."""
  place = jnp.arange(mask.shape[1])
  last = jax.lax.cummax(jnp.where(mask, place, -1), axis=1)
  before = jnp.pad(last[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
  before = jnp.where(before >= 0, before, place)
  return pixels - jnp.take_along_axis(pixels, before[:, :, None, None], axis=1)


class Temporal(nn.Module):
  """Transformer over the real frames of a clip, told each frame's index and relative time."""

  common: layers.Common
  config: VideoConfig

  @nn.compact
  def __call__(
      self,
      x: Float[Array, "B T D"],
      mask: Bool[Array, "B T"],
      time: Float[Array, "B T"],
      *,
      train: bool,
  ) -> Float[Array, "B T D"]:
    width, dtype, config = self.common.width, self.common.dtype, self.config
    if x.shape[1] > config.max_frames:
      raise UserError(
          f"model.video.max_frames: is {config.max_frames} and the batch has {x.shape[1]} frames a"
          " clip: raise it or lower data.num_frames"
      )
    table = nn.Embed(
        config.max_frames, width, embedding_init=primitives.table_init, dtype=dtype, name="index"
    )
    # Padding does not count, wherever it stands.
    x += table(jnp.maximum(jnp.cumsum(mask, axis=1) - 1, 0))
    waves = time_waves(relative_time(time, mask)).astype(dtype)
    x += primitives.Dense(width, use_bias=False, dtype=dtype, name="time")(waves)
    x = primitives.Dropout(self.common.dropout)(x, train=train)
    return layers.transformer(
        self.common, config.temporal_layers, config.heads, x, mask, train=train
    )


def relative_time(time: Float[Array, "B T"], mask: Bool[Array, "B T"]) -> Float[Array, "B T"]:
  """Times mapped to 0 (first real frame) .. 1 (last); 0 for padding and for single frames."""
  first = jnp.min(jnp.where(mask, time, jnp.inf), axis=1, keepdims=True)
  last = jnp.max(jnp.where(mask, time, -jnp.inf), axis=1, keepdims=True)
  known = mask & (last > first)
  return jnp.where(known, (time - first) / jnp.where(last > first, last - first, 1.0), 0.0)


def time_waves(time: Float[Array, "B T"], waves: int = WAVES) -> Float[Array, "B T W"]:
  """Sines and cosines of relative time, from half a period a clip up to 2**(waves - 2) periods."""
  angle = time[..., None] * (jnp.pi * 2.0 ** jnp.arange(waves))
  return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


class VideoEncoder(nn.Module):
  """Frame encoder, then the temporal transformer. Padding frames give zeros."""

  common: layers.Common
  config: VideoConfig

  def setup(self) -> None:
    encoder = FeatureFrames if self.config.kind == "features" else PixelFrames
    self.frames = encoder(self.common, self.config)
    self.temporal = Temporal(self.common, self.config)

  def __call__(
      self,
      video: Shaped[Array, "B T ..."],
      mask: Bool[Array, "B T"],
      time: Float[Array, "B T"],
      *,
      train: bool,
  ) -> Float[Array, "B T D"]:
    # Padding may hold anything, NaN included.
    real = mask.reshape(*mask.shape, *(1,) * (video.ndim - 2))
    x = self.frames(jnp.where(real, video, jnp.zeros((), video.dtype)), mask, train=train)
    x = self.temporal(x, mask, time, train=train)
    return jnp.where(mask[..., None], x, jnp.zeros((), x.dtype))
