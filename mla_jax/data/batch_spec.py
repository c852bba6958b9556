"""Shapes and types of a training batch, from the config alone.

The pipeline makes its batches from the data; this says what they will be, so that a step can be
compiled where there is none. A test holds the two together.
"""

import jax
from ml_collections import ConfigDict
import numpy as np

from mla_jax.data import sources
from mla_jax.data.examples import NOTHING_MORE
from mla_jax.data.task_fields import TaskFields

Spec = dict[str, jax.ShapeDtypeStruct]


def train_batch(
    config: ConfigDict, rows: int, *, answers: bool, wanted: TaskFields = NOTHING_MORE
) -> Spec:
  """The fields of a training batch; see "Batch" in docs/architecture.md.

  Args:
    config: of the run.
    rows: B, of the global batch.
    answers: whether the task needs them.
    wanted: what else it reads of a text.
  """
  slots = sources.slots(config.data)
  texts = (rows,) if slots == 1 else (rows, slots)
  spec = text_fields(config, texts) | {
      "mask": _array(texts, np.bool_),
      "example_id": _array(texts, np.int32),
      "video_key": _array((rows,), np.int32),
  }
  if answers or wanted.answered:
    spec |= text_fields(config, texts, "align_")
  if answers:
    spec["answer"] = _array(texts, np.int32)
  spec |= _task_fields(config, texts, wanted)
  if config.model.use_video:
    pairs = config.data.video_segments, config.data.text_segments
    spec |= video_fields(config, rows) | {"overlap": _array((*texts, *pairs), np.float32)}
  return spec


def _task_fields(config: ConfigDict, texts: tuple[int, ...], wanted: TaskFields) -> Spec:
  spec: Spec = {}
  if wanted.candidates:
    each = (*texts, wanted.candidates)
    spec |= text_fields(config, each, "candidate_")
    spec |= {"candidate_mask": _array(each, np.bool_), "answer": _array(texts, np.int32)}
  if wanted.count:
    spec["count"] = _array(texts, np.int32)
  if wanted.moment:
    spec["moment"] = _array((*texts, 2), np.float32)
  return spec


def text_fields(config: ConfigDict, texts: tuple[int, ...], prefix: str = "") -> Spec:
  """What the text encoder reads; where its frozen part is cached, what comes out of that too."""
  places = (*texts, config.data.text_length)
  text = config.model.text
  spec = {
      f"{prefix}text": _array(places, np.int32),
      f"{prefix}text_mask": _array(places, np.bool_),
      f"{prefix}text_segment": _array(places, np.int32),
  }
  if text.cache:
    spec[f"{prefix}text_states"] = _array((*places, text.width), np.float16)
  return spec


def video_fields(config: ConfigDict, rows: int) -> Spec:
  """What the video encoder reads."""
  data, video = config.data, config.model.video
  frames = (rows, data.num_frames)
  clip = (
      _array((*frames, video.feature_width), np.float16)
      if video.kind == "features"
      else _array((*frames, data.image_size, data.image_size, 3), np.uint8)
  )
  return {
      "video": clip,
      "frame_mask": _array(frames, np.bool_),
      "frame_time": _array(frames, np.float32),
      "frame_segment": _array(frames, np.int32),
      "frame_span": _array((*frames, 2), np.float32),
  }


def _array(shape: tuple[int, ...], dtype: type) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape, dtype)
