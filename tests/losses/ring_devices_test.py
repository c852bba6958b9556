"""A ring of one, two and eight devices, over one mesh axis and over two, against the dense loss."""

import dataclasses
import functools
import math

import jax
from ml_collections import ConfigDict
import pytest

from mla_jax.sharding import make_mesh
from tests.losses import batches, ring_test

ROWS = 16  # Divides over all of them.


@pytest.mark.slow
@pytest.mark.parametrize(("data", "fsdp"), [(1, 1), (2, 1), (8, 1), (4, 2)])
@pytest.mark.parametrize("name", ring_test.LOSSES)
def test_it_is_the_dense_loss_with_its_gradients(name: str, data: int, fsdp: int) -> None:
  batch, extra = ring_test.make_batch(name, seed=7, real=0.8)
  texts = ROWS * ring_test.CAPTIONS
  batch = dataclasses.replace(
      batch,
      video=batch.video[:ROWS],
      video_mask=batch.video_mask[:ROWS],
      video_key=batch.video_key[:ROWS],
      text=batch.text[:texts],
      text_mask=batch.text_mask[:texts],
  )
  extra = {key: value[:texts] for key, value in extra.items()}
  mesh = make_mesh(ConfigDict({"data": data, "fsdp": fsdp}), jax.devices()[: data * fsdp])
  scalars = {"log_scale": math.log(ring_test.SCALE)}
  if name in ring_test.GLOBAL:
    scalars["bias"] = ring_test.BIAS
  ring, dense = (
      functools.partial(batches.with_gradients(ring_test.loss_function(name, **how)), **scalars)
      for how in ({"impl": "ring", "mesh": mesh, "block": ring_test.block(name)}, {})
  )
  ring_test.assert_equal(ring(*batch.sides(), **extra), dense(*batch.sides(), **extra))
