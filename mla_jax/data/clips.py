"""From a raw media record to the clip of a batch: choose frames, decode, crop, resize."""

import numpy as np
import tensorflow as tf

from mla_jax.data import probes
from mla_jax.data.examples import Fields, Shapes
from mla_jax.data.frames import FrameChoice, choose_frames, temporal_iou
from mla_jax.data.records import MediaStore


def draws(shapes: Shapes, rng: np.random.Generator) -> Fields:
  """The random choices of a training clip: where each frame is taken, and one crop for all."""
  jitter = rng.random(shapes.frames, np.float32)
  return {
      "jitter": 0.5 + shapes.frame_jitter * (jitter - np.float32(0.5)),
      "crop": rng.random(3, np.float32),
  }


def centred(shapes: Shapes) -> Fields:
  """The choices of evaluation: middle frames, the middle of the picture."""
  return {
      "jitter": np.full(shapes.frames, 0.5, np.float32),
      "crop": np.array([1.0, 0.5, 0.5], np.float32),
  }


def finish(
    example: Fields, media: MediaStore | None, shapes: Shapes, probe: str | None = None
) -> Fields:
  """Replaces the raw record and the draws of one example by the clip's fields.

  JPEG frames stay encoded: `frames` `[T]` and `crop` are for `decode`. What is done here is done
  in numpy, by threads that wait for each other: a graph's operations cost more than they do.

  Args:
    example: with `raw`, `jitter`, `crop`, and `times` where a text has any; without the first, of a
      model without video, the others are dropped.
    media: of the record.
    shapes: sizes of the batch.
    probe: what of the frames is spoilt, see `probes.FRAME_PROBES`.
  """
  example = dict(example)
  drawn = {name: example.pop(name) for name in ("jitter", "crop") if name in example}
  raw, times = example.pop("raw", None), example.pop("times", None)
  if raw is None or media is None:
    return example
  stored = media.parse(raw.item())
  choice = choose_frames(
      stored.time,
      stored.duration,
      frames=shapes.frames,
      segments=shapes.video_segments,
      jitter=drawn["jitter"],
  )
  seconds = np.where(choice.mask, stored.time[choice.index], 0.0).astype(np.float32)
  if probe is not None:
    choice = probes.spoil_frames(probe, choice, int(example["video_key"]))
  example |= {
      "frame_mask": choice.mask,
      "frame_segment": choice.segment,
      "frame_time": seconds,
      "frame_span": choice.span,
  }
  if times is not None:
    example["overlap"] = _overlap(choice.bounds, times)
  if isinstance(stored.payload, np.ndarray):
    video = _taken(stored.payload, choice)
    return example | {"video": np.zeros_like(video) if probe == probes.BLACK else video}
  frames = np.full(shapes.frames, b"", object)
  frames[choice.mask] = [stored.payload[place] for place in choice.index[choice.mask]]
  return example | {"frames": frames, "crop": drawn["crop"]}


def _taken(features: np.ndarray, choice: FrameChoice) -> np.ndarray:
  """Float32 `[T, F]`; padding is 0."""
  taken = np.zeros((len(choice.mask), features.shape[1]), np.float32)
  taken[choice.mask] = features[choice.index[choice.mask]]
  return taken


def decode(
    example: dict[str, tf.Tensor], shapes: Shapes, *, train: bool, probe: str | None = None
) -> dict[str, tf.Tensor]:
  """Replaces the encoded frames of one example by its `video` (in the graph)."""
  example = dict(example)
  frames, crop = example.pop("frames"), example.pop("crop")
  video = _pixels(frames, example["frame_mask"], crop, shapes, train=train)
  return example | {"video": tf.zeros_like(video) if probe == probes.BLACK else video}


def _overlap(bounds: np.ndarray, times: np.ndarray) -> np.ndarray:
  """`[N, M]`, or `[C, N, M]` where the example has several texts."""
  if times.ndim == 2:
    return temporal_iou(bounds, times)
  return np.stack([temporal_iou(bounds, one) for one in times])


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
  clip = tf.map_fn(
      lambda frame: tf.io.decode_and_crop_jpeg(frame, window, channels=3),
      real,
      fn_output_signature=tf.uint8,
  )
  clip = tf.cond(edge == size, lambda: clip, lambda: _resize(clip, size))
  return tf.scatter_nd(tf.where(mask), clip, (shapes.frames, size, size, 3))


def _resize(clip: tf.Tensor, size: int) -> tf.Tensor:
  clip = tf.image.resize(clip, (size, size), antialias=True)
  return tf.cast(tf.clip_by_value(tf.round(clip), 0, 255), tf.uint8)
