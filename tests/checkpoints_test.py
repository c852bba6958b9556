"""What is saved comes back, on any mesh; what is kept is the last and the best."""

import pathlib
import shutil
from typing import Any

import jax
from jax.sharding import PartitionSpec as P
import numpy as np
import pytest

from mla_jax import sharding, train_state
from mla_jax.checkpoints import Checkpointer
from mla_jax.train_state import TrainState
from tests.checkpoint_states import (
    META,
    abstract,
    assert_same,
    make_mesh,
    make_state,
    save_steps,
    update,
)


def test_restore_is_bit_exact(tmp_path: pathlib.Path) -> None:
  state = make_state(3)
  with Checkpointer(tmp_path) as saved:
    assert saved.save(3, state, {}, META)
    assert_same(saved.restore(abstract()), state)  # Waits for the save under way.
  with Checkpointer(tmp_path) as saved:
    found = saved.restore(abstract(), "latest")
  assert_same(found, state)
  assert type(found) is TrainState
  assert list(sharding.named_leaves(found)) == list(sharding.named_leaves(state))


def test_donating_a_state_under_way_does_not_change_what_is_saved(tmp_path: pathlib.Path) -> None:
  donating = jax.jit(update, donate_argnums=0)
  state = make_state()
  with Checkpointer(tmp_path, keep_last=10) as saved:
    expected = []
    for number in range(1, 6):
      state = donating(state)
      expected.append(jax.tree.map(np.array, state))
      saved.save(number, state, {}, META)
    for number, right in enumerate(expected, start=1):
      assert_same(saved.restore(abstract(), number), right)


def test_six_steps_equal_three_and_a_restart_and_three(tmp_path: pathlib.Path) -> None:
  mesh = make_mesh(8, 2)
  step: Any = jax.jit(
      update, donate_argnums=0, out_shardings=train_state.state_shardings(abstract(mesh))
  )
  expected = make_state(0, mesh)
  for _ in range(6):
    expected = step(expected)
  state = make_state(0, mesh)
  for _ in range(3):
    state = step(state)
  with Checkpointer(tmp_path) as saved:
    saved.save(3, state, {}, META)
  with Checkpointer(tmp_path) as saved:
    state = saved.restore(abstract(mesh))
  for _ in range(3):
    state = step(state)
  assert_same(state, expected)
  assert step._cache_size() == 1  # A restored state compiles nothing anew.


def test_no_program_is_compiled_to_save_small_arrays(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
  state = make_state(0, make_mesh(4))
  with Checkpointer(tmp_path) as saved, jax.log_compiles():
    saved.save(1, state, {}, META)
    saved.wait()
  assert "XLA compilation" not in caplog.text


@pytest.mark.parametrize(
    ("devices", "fsdp", "rules"),
    [
        (1, 1, sharding.REPLICATED),
        (8, 4, sharding.REPLICATED),
        (4, 2, [("dense/kernel", P("fsdp", "data")), (".*", P())]),
    ],
)
def test_another_mesh_restores_the_same_values(
    tmp_path: pathlib.Path, devices: int, fsdp: int, rules: sharding.Rules
) -> None:
  saved_rules = [("dense/.*", P(("data", "fsdp"))), (".*", P())]
  with Checkpointer(tmp_path) as saved:
    state = make_state(2, make_mesh(4, 1), rules=saved_rules)
    saved.save(2, state, {}, META)
  target = abstract(make_mesh(devices, fsdp), rules=rules)
  with Checkpointer(tmp_path, read_only=True) as saved:
    found = saved.restore(target)
  assert_same(found, state)
  for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(target), strict=True):
    assert left.sharding.is_equivalent_to(right.sharding, left.ndim)


def test_last_and_best_are_kept_at_once(tmp_path: pathlib.Path) -> None:
  kept = save_steps(tmp_path, [1.0, 5.0, 3.0, None, None, 4.0])
  assert kept == [2, 5, 6]
  assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "5", "6"]
  with Checkpointer(tmp_path, metric="score", read_only=True) as saved:
    assert (saved.latest_step(), saved.best_step()) == (6, 2)
    assert [saved.find(which) for which in (None, "latest", "best", 5)] == [6, 6, 2, 5]
    assert saved.metrics(2) == {"score": 5.0}
    assert saved.metrics(5) == {}
  with Checkpointer(tmp_path, keep_last=1, metric="score") as saved:
    assert saved.all_steps() == [2, 6]  # It keeps fewer now.


def test_without_any_score_the_best_is_the_latest(tmp_path: pathlib.Path) -> None:
  assert save_steps(tmp_path, [None, None, None], keep_last=1) == [3]
  with Checkpointer(tmp_path, metric="score", read_only=True) as saved:
    assert saved.best_step() == 3


def test_a_step_is_saved_once(tmp_path: pathlib.Path) -> None:
  with Checkpointer(tmp_path) as saved:
    assert saved.save(1, make_state(1), {}, META)
    assert not saved.save(1, make_state(2), {}, META)
    assert_same(saved.restore(abstract()), make_state(1))


def test_meta_needs_no_arrays(tmp_path: pathlib.Path) -> None:
  with Checkpointer(tmp_path) as saved:
    saved.save(1, make_state(1), {"score": 2.0}, META)
  shutil.rmtree(tmp_path / "1" / "state")
  with Checkpointer(tmp_path, read_only=True) as saved:
    meta = saved.read_meta("best")
    assert saved.metrics(1) == {"score": 2.0}
  assert meta["format"] == 1
  assert meta["code_version"] == "0.1.0"
  assert meta["data_fingerprint"] == {"media": "abc"}
  assert meta["config"] == {"name": "demo", "model": {"width": 8, "layers": [1, 2]}}
  assert meta["leaves"]["params/dense/kernel"] == "float32[4,8]"
  assert meta["leaves"]["step"] == "int32[]"
