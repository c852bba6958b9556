"""Embedding a batch in parts changes neither a task's loss nor its gradient."""

from typing import Any

import jax
import pytest

from mla_jax.tasks import registry
from tests import accumulated


def test_every_task_is_here() -> None:
  assert {task for task, _ in accumulated.TASKS} == set(registry.TASKS)


@pytest.mark.parametrize(("task", "changes"), accumulated.TASKS)
def test_without_dropout_parts_equal_the_whole(task: str, changes: dict[str, Any]) -> None:
  config = accumulated.config(task, changes)
  batch, rng = accumulated.on_mesh(accumulated.batch(16)), jax.random.key(1)
  whole, params = accumulated.function(config, 1)
  parts, _ = accumulated.function(config, 4)
  accumulated.assert_same(parts(params, batch, rng), whole(params, batch, rng))
