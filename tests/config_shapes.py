"""A config's training step as shapes alone: what its batch would be, from one made-up text."""

from typing import Any

import jax
from ml_collections import ConfigDict
import numpy as np

from mla_jax import run as run_lib
from mla_jax import train_step
from mla_jax.data import examples
from mla_jax.data.annotations.schema import Segment
from mla_jax.data.record_format import TextRecord
from mla_jax.data.text import Tokenizer
from mla_jax.models.build import build_model
from mla_jax.sharding import make_mesh
from mla_jax.tasks.registry import make_task

_RECORD = TextRecord(
    "text", "video", 0, "what runs ?", (Segment(0, 11, 0.0, 2.0),), answer="a dog",
    candidates=("a dog", "a cat"), answer_index=0, count=2, moments=((0.0, 2.0),), duration=4.0)


def loss_shapes(config: ConfigDict, tokenizer: Tokenizer) -> tuple[Any, Any]:
  """Shapes of (loss, metrics) and of the gradients, with two rows a batch."""
  task = make_task(config)
  model = build_model(
      config.model,
      init_temperature=config.loss.init_temperature,
      init_bias=config.loss.init_bias,
  )
  mesh = make_mesh(config.mesh)
  params = jax.eval_shape(train_step.init_params(model, config))
  fields = batch_shapes(config, task, tokenizer)

  def step(params: Any, batch: Any) -> Any:
    rng = jax.random.key(config.seed)
    loss = jax.value_and_grad(lambda p: task.loss(model, p, batch, rng, mesh), has_aux=True)
    return loss(params)

  return jax.eval_shape(step, params, fields), params


def batch_shapes(config: ConfigDict, task: Any, tokenizer: Tokenizer) -> Any:
  shapes = run_lib._shapes(config.data)
  row = examples.example_fields(
      _RECORD, tokenizer, shapes, answers={"a dog": 0} if task.needs_answers else None,
      wanted=task.wanted, align=True) | {"mask": np.array(True)}
  del row["times"]
  slots = (shapes.captions,) if shapes.captions > 1 else ()
  if config.model.use_video:
    row["overlap"] = np.zeros((shapes.video_segments, shapes.text_segments), np.float32)
  fields = {
      name: jax.ShapeDtypeStruct((2, *slots, *value.shape), value.dtype)
      for name, value in row.items()}
  clip = {
      name: jax.ShapeDtypeStruct((2, *spec.shape[1:]), spec.dtype)
      for name, spec in train_step.init_batch(config).items()
      if name not in fields}
  clip["frame_span"] = jax.ShapeDtypeStruct((2, shapes.frames, 2), np.float32)
  return fields | clip | {"video_key": jax.ShapeDtypeStruct((2,), np.int32)}
