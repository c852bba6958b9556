"""A reader of the tiny prepared data, and batches by it."""

import pathlib

import numpy as np

from mla_jax import config_lib
from mla_jax.data import pipeline
from mla_jax.data.examples import Shapes
from mla_jax.data.reader import Reader
from mla_jax.data.records import MediaStore
from mla_jax.data.text import Tokenizer

SHAPES = Shapes(
    frames=4,
    video_segments=2,
    text_length=12,
    text_segments=3,
    captions=1,
    image_size=16,
    crop_scale=0.8,
    frame_jitter=1.0,
)


def reader(out: pathlib.Path, *, answers=None, **changes) -> Reader:
  family = out / "msrvtt"
  return Reader(
      MediaStore.open(family / "media"),
      Tokenizer.load(family / "retrieval" / "tokenizer.model"),
      Shapes(**(vars(SHAPES) | changes)),
      answers,
  )


def data_config(out: pathlib.Path, name: str = "retrieval", captions: int = 1):
  changes = {"data.dir": str(out), "data.dev_fraction": 0.25, "data.captions": captions}
  return config_lib.load_config(f"configs/msrvtt_mini_{name}.py:debug", changes).data


def batches(reader, drawn, steps, **kwargs):
  return list(pipeline.train_batches(reader, drawn, seed=1, steps=steps, **kwargs))


def assert_same(a, b):
  assert a.keys() == b.keys()
  for name, value in a.items():
    np.testing.assert_array_equal(value, b[name], err_msg=name)
