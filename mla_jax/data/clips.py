"""From a raw media record to the clip of a batch: choose frames, decode, crop, resize."""

import dataclasses

from jaxtyping import Int
import numpy as np
import tensorflow as tf

from mla_jax.data import probes
from mla_jax.data.examples import Fields, Shapes
from mla_jax.data.frames import FrameChoice, choose_frames, temporal_iou
from mla_jax.data.media import Media
from mla_jax.data.records import MediaStore

_PHILOX_FLOATS = 8  # What the generator makes at a time.


@dataclasses.dataclass(frozen=True)
class Draws:
  """What is chosen of each clip of a batch.

  Attributes:
    jitter: float32 `[B, T]` in [0, 1), where inside its run each frame is taken.
    crop: float32 `[B, 3]` in [0, 1], of all frames: its size and its place, down and across.
  """

  jitter: np.ndarray
  crop: np.ndarray


def random_draws(
    shapes: Shapes, seed: int, step: int, rows: Int[np.ndarray, " rows"]
) -> Draws:
  """The choices of training for some rows, ascending, each a function of (seed, step, row).

  One generator that is wound on to the first of them, and draws for what lies between too: one for
  each row would cost as much as reading its text.
  """
  width = -(-(shapes.frames + 3) // _PHILOX_FLOATS) * _PHILOX_FLOATS
  key = np.random.SeedSequence((seed, step)).generate_state(2, np.uint64)
  bits = np.random.Philox(key=key).advance(int(rows[0]) * width // _PHILOX_FLOATS)
  values = np.random.Generator(bits).random((int(rows[-1] - rows[0]) + 1, width), np.float32)
  values = values[rows - rows[0]]
  middle = np.float32(0.5)
  jitter = middle + np.float32(shapes.frame_jitter) * (values[:, : shapes.frames] - middle)
  return Draws(jitter, values[:, shapes.frames : shapes.frames + 3])


def centred_draws(shapes: Shapes, rows: int) -> Draws:
  """The choices of evaluation: middle frames, the middle of the picture."""
  crop = np.array([1.0, 0.5, 0.5], np.float32)
  return Draws(np.full((rows, shapes.frames), 0.5, np.float32), np.tile(crop, (rows, 1)))


def finish(
    rows: list[Fields],
    media: MediaStore | None,
    shapes: Shapes,
    draws: Draws | None,
    probe: str | None = None,
) -> Fields:
  """A batch from its rows: each field stacked, and the clips of `video_key`.

  JPEG frames stay encoded: `frames` `[B, T]` and `crop` are for `decode`. What is done here is done
  in numpy, a batch at a time, by threads that wait for each other: Python for every row is what
  this costs.

  Args:
    rows: with `video_key`, and `times` where a text has any, which are dropped from a batch of
      texts alone.
    media: of the videos; None for a model without video.
    shapes: sizes of the batch.
    draws: of the clips; None for texts alone.
    probe: what of the frames is spoilt, see `probes.FRAME_PROBES`.
  """
  batch = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
  times = batch.pop("times", None)
  if media is None or draws is None:
    return batch
  stored = media.read(batch["video_key"])
  chosen = [
      _choose(one, jitter, shapes) for one, jitter in zip(stored, draws.jitter, strict=True)
  ]
  pairs = zip(stored, chosen, strict=True)
  seconds = [np.where(choice.mask, one.time[choice.index], 0.0) for one, choice in pairs]
  if probe is not None:
    keys = batch["video_key"].tolist()
    chosen = [
        probes.spoil_frames(probe, choice, key) for choice, key in zip(chosen, keys, strict=True)
    ]
  batch |= {
      "frame_mask": np.stack([choice.mask for choice in chosen]),
      "frame_segment": np.stack([choice.segment for choice in chosen]),
      "frame_time": np.stack(seconds).astype(np.float32),
      "frame_span": np.stack([choice.span for choice in chosen]),
  }
  if times is not None:
    bounds = np.stack([choice.bounds for choice in chosen])
    batch["overlap"] = temporal_iou(bounds if times.ndim == 3 else bounds[:, None], times)
  if media.kind == "features":
    return batch | {"video": _features(stored, chosen, black=probe == probes.BLACK)}
  return batch | {"frames": _encoded(stored, chosen), "crop": draws.crop}


def _choose(stored: Media, jitter: np.ndarray, shapes: Shapes) -> FrameChoice:
  return choose_frames(
      stored.time,
      stored.duration,
      frames=shapes.frames,
      segments=shapes.video_segments,
      jitter=jitter,
  )


def _features(stored: list[Media], chosen: list[FrameChoice], *, black: bool) -> np.ndarray:
  """Float16 `[B, T, F]`, as they are stored: half the bytes to the device. Padding is 0."""
  width = np.shape(stored[0].payload)[1]
  video = np.zeros((len(chosen), len(chosen[0].mask), width), np.float16)
  if not black:
    for clip, one, choice in zip(video, stored, chosen, strict=True):
      real = choice.index[choice.mask]  # They come first. With mode "raise" it would copy twice.
      np.take(one.payload, real, axis=0, out=clip[: len(real)], mode="clip")
  return video


def _encoded(stored: list[Media], chosen: list[FrameChoice]) -> np.ndarray:
  """JPEG frames `[B, T]`, nothing where padding is."""
  frames = np.full((len(chosen), len(chosen[0].mask)), b"", object)
  for clip, one, choice in zip(frames, stored, chosen, strict=True):
    clip[choice.mask] = [one.payload[place] for place in choice.index[choice.mask].tolist()]
  return frames


def decode(
    example: dict[str, tf.Tensor], shapes: Shapes, *, train: bool, probe: str | None = None
) -> dict[str, tf.Tensor]:
  """Replaces the encoded frames of one example by its `video` (in the graph)."""
  example = dict(example)
  frames, crop = example.pop("frames"), example.pop("crop")
  video = _pixels(frames, example["frame_mask"], crop, shapes, train=train)
  return example | {"video": tf.zeros_like(video) if probe == probes.BLACK else video}


def _pixels(
    frames: tf.Tensor, mask: tf.Tensor, crop: tf.Tensor, shapes: Shapes, *, train: bool
) -> tf.Tensor:
  """Decodes, crops and resizes to uint8 `[T, S, S, 3]`; padding frames are black.

  One crop for all frames, and no mirror images: left and right mean something to a text.
  """
  size = shapes.image_size
  side = shapes.crop_scale + (1.0 - shapes.crop_scale) * crop[0] if train else tf.constant(1.0)
  real = tf.boolean_mask(frames, mask)
  shape = tf.cast(tf.image.extract_jpeg_shape(real[0])[:2], tf.float32)  # As all of a video.
  edge = tf.maximum(tf.floor(tf.reduce_min(shape) * side), 1.0)
  corner = tf.cast(tf.floor((shape - edge) * crop[1:]), tf.int32)
  edge = tf.cast(edge, tf.int32)
  window = tf.stack([corner[0], corner[1], edge, edge])
  clip = tf.map_fn(lambda frame: _decode(frame, window), real, fn_output_signature=tf.uint8)
  clip = tf.cond(edge == size, lambda: clip, lambda: _resize(clip, edge, size))
  return tf.scatter_nd(tf.where(mask), clip, (shapes.frames, size, size, 3))


def _decode(frame: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
  """As Pillow and OpenCV do it; TensorFlow's own choice is no faster, and off by up to 7 of 255."""
  return tf.io.decode_and_crop_jpeg(frame, window, channels=3, dct_method="INTEGER_ACCURATE")


def _resize(clip: tf.Tensor, edge: tf.Tensor, size: int) -> tf.Tensor:
  """Shrinks uint8 `[n, edge, edge, 3]` by the mean of the area a pixel covers, or enlarges it.

  The mean of an area takes half the time of an antialiased bilinear filter.
  """
  clip = tf.cond(
      edge > size,
      lambda: tf.image.resize(clip, (size, size), "area"),
      lambda: tf.image.resize(clip, (size, size), "bilinear"),
  )
  return tf.cast(tf.round(clip), tf.uint8)
