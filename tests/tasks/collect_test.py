"""Evaluation outputs come back complete and in order, or not at all."""

import jax
import numpy as np
import pytest

from mla_jax import config_lib, sharding, watchdog
from mla_jax.errors import UserError
from mla_jax.tasks.collect import collect

MESH = sharding.make_mesh(config_lib.load_config("configs/msrvtt_mini_qa.py").mesh)


def batches(ids: list[int], masks: list[bool]):
  for start in range(0, len(ids), 8):
    part = np.array(ids[start : start + 8], np.int32)
    yield {"example_id": part, "mask": np.array(masks[start : start + 8]), "x": part * 2.0}


@jax.jit
def double(params, batch):
  return {"y": batch["x"] * params}


def test_rows_come_in_the_order_of_their_ids_without_padding():
  ids = [*list(np.random.default_rng(0).permutation(13)), 0, 1, 2]
  found = collect(double, 3.0, batches(ids, [True] * 13 + [False] * 3), MESH, 13)
  np.testing.assert_array_equal(found["y"], 6.0 * np.arange(13))


def test_every_batch_is_a_sign_of_life_that_says_where_the_process_is():
  watchdog.alive("the evaluation of step 7")
  said = []

  def watched():
    for batch in batches(list(range(16)), [True] * 16):
      said.append(watchdog.where())
      yield batch

  collect(double, 1.0, watched(), MESH, 16)
  assert [*said, watchdog.where()] == [
      "the evaluation of step 7",
      "the evaluation of step 7, batch 0",
      "the evaluation of step 7, batch 1",
  ]


@pytest.mark.parametrize(
    ("ids", "masks", "message"),
    [
        ([*list(range(15)), 0], [True] * 16, "more than once"),
        (list(range(16)), [True] * 15 + [False], "missing"),
        ([*list(range(15)), 99], [True] * 16, "unknown"),
    ],
)
def test_a_set_that_is_not_the_split_fails(ids, masks, message):
  with pytest.raises(UserError, match=message):
    collect(double, 1.0, batches(ids, masks), MESH, 16)
