"""A small training of any task, embedded in as many parts as a test asks for, on two devices."""

from collections.abc import Mapping
import functools
from typing import Any

import jax
from ml_collections import ConfigDict
import numpy as np

from configs import common
from mla_jax import accumulation, sharding
from mla_jax.models import build, mla
from mla_jax.tasks.registry import make_task
from tests.models import tiny

DEVICES = 2
MESH = sharding.make_mesh(ConfigDict({"data": 1, "fsdp": DEVICES}), jax.devices()[:DEVICES])
TASKS: tuple[tuple[str, dict[str, Any]], ...] = (  # Each with what its head takes.
    ("retrieval", {"model.num_answers": 0}),
    ("open_ended_qa", {}),
    ("multiple_choice_qa", {"model.num_answers": 1}),
    ("counting", {"model.num_answers": 1}),
    ("localisation", {"model.head": "span", "model.num_answers": 2}),
    ("localisation", {"model.num_answers": 0, "eval.scoring": "contrastive"}),
)
_TEXTS = 3  # Of a row; the last of them is no question, as if of a set beside its source.
_CANDIDATES = 3


def config(task: str, changes: Mapping[str, Any], *, texts: int = _TEXTS) -> ConfigDict:
  """Of a task on `batch` with so many texts a row; `changes` of the config by dotted key."""
  made = common.base("test", task)
  made.model = tiny.config()
  made.update_from_flattened_dict({
      "data.captions": texts if task == "retrieval" else texts - 1,
      "data.video_segments": 3,
      "data.text_segments": 2,
      "data.candidates": _CANDIDATES,
      "loss.segment_pairing": "timed+latent",
      **changes,
  })
  return made


def batch(rows: int, *, texts: int = _TEXTS) -> dict[str, np.ndarray]:
  """Ragged texts, some blank, some timed, some with what a task asks for; keys that repeat."""
  rng = np.random.default_rng(0)
  fields: dict[str, np.ndarray] = {name: tiny.batch(rows)[name] for name in tiny.VIDEO_KEYS}
  for seed, prefix in enumerate(("", "align_", "candidate_")):
    shape = (rows, texts, _CANDIDATES)[: 3 if prefix == "candidate_" else 2]
    words = tiny.batch(int(np.prod(shape)), seed=seed)
    fields |= {prefix + name: words[name].reshape(*shape, -1) for name in mla.TEXT}
  fields["video_key"] = rng.integers(0, rows - 2, rows).astype(np.int32)
  fields["mask"] = np.arange(texts) < rng.integers(1, texts + 1, (rows, 1))
  fields["answer"] = rng.integers(-1, 2, (rows, texts)).astype(np.int32)
  fields["count"] = rng.integers(-1, 4, (rows, texts)).astype(np.int32)
  real = rng.random((rows, texts, _CANDIDATES)) < 0.5
  fields["candidate_mask"] = real | (np.arange(_CANDIDATES) < 2)  # The right one is among them.
  start = rng.uniform(0, 4, (rows, texts, 1))
  moment = np.where(rng.random(start.shape) < 0.7, start + np.array([0, 2]), np.nan)
  fields["moment"] = moment.astype(np.float32)
  time = fields["frame_time"]
  fields["frame_span"] = np.stack([time - 0.5, time + 0.5], axis=-1)
  overlap = rng.random((rows, texts, 3, 2)).astype(np.float32)
  timed = rng.random((rows, texts, 1, 1)) < 0.5
  fields["overlap"] = np.where(timed, overlap, np.float32(-1))
  return fields


def on_mesh(batch: Any) -> Any:
  return jax.device_put(batch, sharding.batch_sharding(MESH))


def function(config: ConfigDict, micro_batches: int) -> Any:
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


def assert_same(found: Any, expected: Any) -> None:
  """Two results of `function`, to 1e-5; of the gradient each parameter by itself.

  That of one head may be far above another's. Some are nothing but rounding: their true one is 0.
  """
  (loss, metrics), grads = found
  (expected_loss, expected_metrics), expected_grads = expected
  np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
  assert metrics.keys() == expected_metrics.keys()
  tiny.assert_close(metrics, expected_metrics, atol=1e-5, rtol=1e-5)
  wanted = tiny.named(expected_grads)
  sizes = {name: float(np.abs(leaf).max()) for name, leaf in wanted.items()}
  assert max(sizes.values()) > 0.01
  for name, leaf in tiny.named(grads).items():
    np.testing.assert_allclose(
        leaf, wanted[name], rtol=0, atol=1e-5 * sizes[name] + 1e-7, err_msg=name
    )
