"""A batch embedded in parts takes the memory of one part, by the compiler's count."""

import functools
from typing import Any

import jax

from mla_jax.models import build, mla
from mla_jax.tasks.registry import make_task
from tests import accumulated
from tests.models import tiny

READ = (*tiny.VIDEO_KEYS, *mla.TEXT, "video_key", "mask")
TEXTS = 2  # A row.


def test_the_memory_is_that_of_one_part() -> None:
  """Beside what is kept of all rows: no activation of another part is."""
  config = accumulated.config(
      "retrieval",
      # The pairs of segments would outweigh so small a model.
      {"model.dropout": 0.1, "model.num_answers": 0, "loss.segment_weight": 0.0},
      texts=TEXTS,
  )
  rows, parts = 128, 4
  model, task = build.build_model(config.model), make_task(config)
  params, batch, rng = tiny.params(model), _batch(rows), jax.random.key(0)
  embeddings = jax.eval_shape(functools.partial(task.embed, model), params, batch, rng)

  def step(rows: int, micro_batches: int) -> int:
    function, on_mesh = accumulated.function(config, micro_batches)
    return _temporary_bytes(function, on_mesh, accumulated.on_mesh(_batch(rows)), rng)

  # The embeddings and their gradient, the rows put in the order of the parts: all on two devices;
  # on each, the parameters as one part needs them whole, and the gradient it makes of them.
  kept = (2 * _bytes(embeddings) + _bytes(batch)) // accumulated.DEVICES + 2 * _bytes(params)
  one, whole, in_parts = step(rows // parts, 1), step(rows, 1), step(rows, parts)
  assert one > 4 * kept  # Activations are what is compared.
  assert in_parts <= one + kept
  assert in_parts < 0.3 * whole


def _batch(rows: int) -> Any:
  """What the step reads alone: the rest would count as kept."""
  made = accumulated.batch(rows, texts=TEXTS)
  return {name: made[name] for name in READ}


def _temporary_bytes(function: Any, *args: Any) -> int:
  """Of each device, beside arguments and results."""
  return function.lower(*args).compile().memory_analysis().temp_size_in_bytes


def _bytes(tree: Any) -> int:
  return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
