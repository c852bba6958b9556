"""From a raw media record to the clip of a batch: choose frames, decode, crop, resize."""

import functools

import numpy as np
import tensorflow as tf

from mla_jax.data import probes
from mla_jax.data.examples import Fields, Shapes
from mla_jax.data.frames import choose_frames, temporal_iou
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
    example: dict[str, tf.Tensor],
    media: MediaStore | None,
    shapes: Shapes,
    *,
    train: bool,
    probe: str | None = None,
) -> dict[str, tf.Tensor]:
  """Replaces the raw record and the draws of one example by the clip's fields (in the graph).

  `probe` names what of the frames is spoilt, see `probes.FRAME_PROBES`.
  """
  example = dict(example)
  raw = example.pop("raw", None)
  jitter, crop = example.pop("jitter", None), example.pop("crop", None)
  times = example.pop("times", None)
  if raw is None or media is None:
    return example
  record = media.parse(raw)
  key = example["video_key"]
  index, mask, segment, seconds, span, bounds = _choose(record, jitter, key, shapes, probe)
  example |= {
      "frame_mask": mask,
      "frame_segment": segment,
      "frame_time": seconds,
      "frame_span": span,
  }
  if times is not None:
    example["overlap"] = _overlap(bounds, times, shapes)
  if media.kind == "features":
    clip = tf.cast(tf.gather(record["features"], index), tf.float32)
    clip = tf.ensure_shape(clip, (shapes.frames, media.feature_width))
    example["video"] = tf.where(mask[:, None], clip, 0.0)
  else:
    example["video"] = _pixels(tf.gather(record["frames"], index), mask, crop, shapes, train=train)
  if probe == probes.BLACK:
    example["video"] = tf.zeros_like(example["video"])
  return example


def _choose(
    record: dict[str, tf.Tensor],
    jitter: tf.Tensor,
    video_key: tf.Tensor,
    shapes: Shapes,
    probe: str | None,
) -> tuple[tf.Tensor, ...]:
  def choose(
      times: np.ndarray, duration: np.ndarray, jitter: np.ndarray, video_key: np.ndarray
  ) -> tuple[np.ndarray, ...]:
    choice = choose_frames(
        times,
        float(duration),
        frames=shapes.frames,
        segments=shapes.video_segments,
        jitter=jitter,
    )
    seconds = np.where(choice.mask, times[choice.index], 0.0).astype(np.float32)
    if probe is not None:
      choice = probes.spoil_frames(probe, choice, int(video_key))
    return choice.index, choice.mask, choice.segment, seconds, choice.span, choice.bounds

  types = [tf.int32, tf.bool, tf.int32, tf.float32, tf.float32, tf.float32]
  chosen = tf.numpy_function(choose, [record["time"], record["duration"], jitter, video_key], types)
  for field in chosen[:4]:
    field.set_shape((shapes.frames,))
  chosen[4].set_shape((shapes.frames, 2))
  return tuple(chosen)


def _overlap(bounds: tf.Tensor, times: tf.Tensor, shapes: Shapes) -> tf.Tensor:
  """`[N, M]`, or `[C, N, M]` where the example has several texts."""

  def overlap(bounds: np.ndarray, times: np.ndarray) -> np.ndarray:
    iou = functools.partial(temporal_iou, bounds)
    return iou(times) if times.ndim == 2 else np.stack([iou(one) for one in times])

  result = tf.numpy_function(overlap, [bounds, times], tf.float32)
  captions = times.shape[:-2]
  return tf.ensure_shape(result, (*captions, shapes.video_segments, shapes.text_segments))


def _pixels(
    frames: tf.Tensor, mask: tf.Tensor, crop: tf.Tensor, shapes: Shapes, *, train: bool
) -> tf.Tensor:
  """Decodes, crops and resizes to uint8 `[T, S, S, 3]`; padding frames are black.

  One crop for all frames, and no mirror images: left and right mean something to a text.
  """
  size = shapes.image_size
  side = shapes.crop_scale + (1.0 - shapes.crop_scale) * crop[0] if train else tf.constant(1.0)
  shape = tf.cast(tf.image.extract_jpeg_shape(frames[0])[:2], tf.float32)  # As all of a video.
  edge = tf.maximum(tf.floor(tf.reduce_min(shape) * side), 1.0)
  corner = tf.cast(tf.floor((shape - edge) * crop[1:]), tf.int32)
  edge = tf.cast(edge, tf.int32)
  window = tf.stack([corner[0], corner[1], edge, edge])
  clip = tf.map_fn(
      lambda frame: tf.io.decode_and_crop_jpeg(frame, window, channels=3),
      tf.boolean_mask(frames, mask),
      fn_output_signature=tf.uint8,
  )
  clip = tf.cond(edge == size, lambda: clip, lambda: _resize(clip, size))
  return tf.scatter_nd(tf.where(mask), clip, (shapes.frames, size, size, 3))


def _resize(clip: tf.Tensor, size: int) -> tf.Tensor:
  clip = tf.image.resize(clip, (size, size), antialias=True)
  return tf.cast(tf.clip_by_value(tf.round(clip), 0, 255), tf.uint8)
