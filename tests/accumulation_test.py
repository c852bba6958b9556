"""Embedding a batch in parts changes neither its loss nor its gradient, and takes less memory."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import pytest

from configs import common
from mla_jax import accumulation, sharding
from mla_jax.models import build, mla
from mla_jax.tasks.registry import make_task
from tests.models import tiny

DEVICES = 2
MESH = sharding.make_mesh(ConfigDict({"data": 1, "fsdp": DEVICES}), jax.devices()[:DEVICES])


def _config(task: str, **changes: Any) -> ConfigDict:
  config = common.base("test", task)
  config.model = tiny.config({"num_answers": 7 * (task == "open_ended_qa"), **changes})
  config.data.captions, config.data.video_segments, config.data.text_segments = 2, 3, 2
  config.loss.segment_pairing = "timed+latent"
  return config


def _batch(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
  """Two texts a row, some of them blank, some timed, some with an answer; keys that repeat."""
  rng = np.random.default_rng(seed)
  video, words = tiny.batch(rows), tiny.batch(2 * rows, seed=1)
  fields = {name: video[name] for name in tiny.VIDEO_KEYS}
  for name in mla.TEXT:
    fields[name] = fields[f"align_{name}"] = words[name].reshape(rows, 2, -1)
  fields["video_key"] = rng.integers(0, rows - 2, rows).astype(np.int32)
  fields["mask"] = np.stack([np.ones(rows, bool), rng.random(rows) < 0.7], axis=1)
  fields["answer"] = rng.integers(-1, 7, (rows, 2)).astype(np.int32)
  overlap = rng.random((rows, 2, 3, 2)).astype(np.float32)
  timed = rng.random((rows, 2, 1, 1)) < 0.5
  fields["overlap"] = np.where(timed, overlap, np.float32(-1))
  return fields


def _on_mesh(batch: Any) -> Any:
  return jax.device_put(batch, sharding.batch_sharding(MESH))


def _function(config: ConfigDict, micro_batches: int) -> Any:
  """Jitted `(params, batch, rng) -> ((loss, metrics), gradient)`, and the parameters."""
  model = build.build_model(config.model)
  params = tiny.params(model)
  homes = sharding.param_shardings(params, [(".*", sharding.Fsdp())], MESH)
  accumulate = functools.partial(
      accumulation.loss_and_gradient,
      make_task(config),
      model,
      mesh=MESH,
      micro_batches=micro_batches,
      shardings=homes,
  )
  return jax.jit(accumulate), jax.device_put(params, homes)


def _assert_same(found: Any, expected: Any) -> None:
  (loss, metrics), grads = found
  (expected_loss, expected_metrics), expected_grads = expected
  np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
  assert metrics.keys() == expected_metrics.keys()
  tiny.assert_close(metrics, expected_metrics, atol=1e-5, rtol=1e-5)
  largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(expected_grads))
  assert largest > 0.01
  tiny.assert_close(grads, expected_grads, atol=1e-5 * largest, rtol=1e-5)


@pytest.mark.parametrize("task", ["retrieval", "open_ended_qa"])
def test_without_dropout_parts_equal_the_whole(task: str) -> None:
  config, batch, rng = _config(task), _on_mesh(_batch(16)), jax.random.key(1)
  whole, params = _function(config, 1)
  parts, _ = _function(config, 4)
  _assert_same(parts(params, batch, rng), whole(params, batch, rng))


@pytest.mark.parametrize("stack", [{}, {"scan": True, "remat": "full"}])
def test_with_dropout_both_passes_draw_the_same(stack: dict[str, Any]) -> None:
  """The reference embeds each part by itself, with its randomness, and differentiates it all."""
  config = _config("retrieval", dropout=0.3, **{"text.token_dropout": 0.2}, **stack)
  model, task, batch, rng = build.build_model(config.model), make_task(config), _batch(8), 3
  parts, params = _function(config, 2)
  # Each of two devices has four rows, of which a part takes two.
  rows = [[0, 1, 4, 5], [2, 3, 6, 7]]

  @jax.jit
  @functools.partial(jax.value_and_grad, has_aux=True)
  def reference(params: Any) -> Any:
    embedded = [
        task.embed(
            model,
            params,
            {name: value[np.array(part)] for name, value in batch.items()},
            jax.random.fold_in(jax.random.key(rng), number),
        )
        for number, part in enumerate(rows)
    ]
    order = np.argsort(np.concatenate(rows))

    def in_order(*leaves: jax.Array) -> jax.Array:
      by_row = jnp.concatenate([x.reshape(4, -1, *x.shape[1:]) for x in leaves])[order]
      return by_row.reshape(-1, *leaves[0].shape[1:])

    return task.loss_of(model, params, jax.tree.map(in_order, *embedded), batch, MESH)

  found = parts(params, _on_mesh(batch), jax.random.key(rng))
  _assert_same(found, reference(tiny.params(model)))
  other = parts(params, _on_mesh(batch), jax.random.key(rng + 1))
  assert abs(float(other[0][0] - found[0][0])) > 1e-4  # Dropout was on.


def test_the_memory_is_that_of_one_part() -> None:
  """By the compiler's count, beside what is kept of all rows: no activation of another part is."""
  config = _config("retrieval", dropout=0.1)
  config.loss.segment_weight = 0.0  # Its pairs would outweigh so small a model.
  rows, parts = 128, 4
  model, task = build.build_model(config.model), make_task(config)
  params, batch, rng = tiny.params(model), _batch(rows), jax.random.key(0)
  embeddings = jax.eval_shape(functools.partial(task.embed, model), params, batch, rng)

  def step(rows: int, micro_batches: int) -> int:
    function, on_mesh = _function(config, micro_batches)
    return _temporary_bytes(function, on_mesh, _on_mesh(_batch(rows)), rng)

  # The embeddings and their gradient, the rows put in the order of the parts: all on two devices;
  # on each, the parameters as one part needs them whole, and the gradient it makes of them.
  kept = (2 * _bytes(embeddings) + _bytes(batch)) // DEVICES + 2 * _bytes(params)
  one, whole, accumulated = step(rows // parts, 1), step(rows, 1), step(rows, parts)
  assert one > 4 * kept  # Activations are what is compared.
  assert accumulated <= one + kept
  assert accumulated < 0.3 * whole


def _temporary_bytes(function: Any, *args: Any) -> int:
  """Of each device, beside arguments and results."""
  return function.lower(*args).compile().memory_analysis().temp_size_in_bytes


def _bytes(tree: Any) -> int:
  return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
