import json
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict
import numpy as np
import optax
import pytest

from mla_jax import sharding, train_state
from mla_jax.checkpoints import Checkpointer
from mla_jax.errors import UserError
from mla_jax.train_state import TrainState

P = PartitionSpec
CONFIG = {"name": "demo", "model": {"width": 8, "layers": (1, 2)}}
META = {"config": CONFIG, "code_version": "0.1.0", "data_fingerprint": {"media": "abc"}}
TX = optax.adamw(1e-2)


def _init(width: int = 8) -> dict[str, Any]:
  key = jax.random.key(1)
  return {
      "dense": {"kernel": jax.random.normal(key, (4, width)), "bias": jnp.zeros(width)},
      "half": jnp.ones((3,), jnp.bfloat16) / 3,
  }


def _mesh(devices: int = 1, fsdp: int = 1) -> jax.sharding.Mesh:
  return sharding.make_mesh(ConfigDict({"data": -1, "fsdp": fsdp}), jax.devices()[:devices])


def _abstract(
    mesh: jax.sharding.Mesh | None = None,
    *,
    width: int = 8,
    rules: sharding.Rules = sharding.REPLICATED,
    ema: bool = True,
) -> TrainState:
  mesh = mesh or _mesh()
  return train_state.abstract_train_state(lambda: _init(width), TX, mesh, rules, ema=ema)


def _state(step: int = 0, mesh: jax.sharding.Mesh | None = None, **kwargs: Any) -> TrainState:
  state = train_state.create_train_state(_init, TX, mesh or _mesh(), ema=True, **kwargs)
  update = jax.jit(_update)
  for _ in range(step):
    state = update(state)
  return state


def _update(state: TrainState) -> TrainState:
  return train_state.apply_gradients(state, jax.tree.map(jnp.sin, state.params), TX, 0.9)


def _assert_same(found: TrainState, expected: TrainState) -> None:
  pairs = zip(
      sharding.named_leaves(found).items(), sharding.named_leaves(expected).values(), strict=True
  )
  for (name, left), right in pairs:
    assert left.dtype == right.dtype, name
    np.testing.assert_array_equal(np.asarray(left), np.asarray(right), err_msg=name)


def _save_steps(
    directory: pathlib.Path, scores: list[float | None], *, keep_last: int = 2
) -> list[int]:
  state = _state()
  with Checkpointer(directory, keep_last=keep_last, metric="score") as saved:
    for step, score in enumerate(scores, start=1):
      saved.save(step, state, {} if score is None else {"score": score}, META)
    return saved.all_steps()


def test_restore_is_bit_exact(tmp_path: pathlib.Path) -> None:
  state = _state(3)
  with Checkpointer(tmp_path) as saved:
    assert saved.save(3, state, {}, META)
    _assert_same(saved.restore(_abstract()), state)  # Waits for the save under way.
  with Checkpointer(tmp_path) as saved:
    found = saved.restore(_abstract(), "latest")
  _assert_same(found, state)
  assert type(found) is TrainState
  assert list(sharding.named_leaves(found)) == list(sharding.named_leaves(state))


def test_donating_a_state_under_way_does_not_change_what_is_saved(tmp_path: pathlib.Path) -> None:
  donating = jax.jit(_update, donate_argnums=0)
  state = _state()
  with Checkpointer(tmp_path, keep_last=10) as saved:
    expected = []
    for number in range(1, 6):
      state = donating(state)
      expected.append(jax.tree.map(np.array, state))
      saved.save(number, state, {}, META)
    for number, right in enumerate(expected, start=1):
      _assert_same(saved.restore(_abstract(), number), right)


def test_six_steps_equal_three_and_a_restart_and_three(tmp_path: pathlib.Path) -> None:
  mesh = _mesh(8, 2)
  step: Any = jax.jit(
      _update, donate_argnums=0, out_shardings=train_state.state_shardings(_abstract(mesh))
  )
  expected = _state(0, mesh)
  for _ in range(6):
    expected = step(expected)
  state = _state(0, mesh)
  for _ in range(3):
    state = step(state)
  with Checkpointer(tmp_path) as saved:
    saved.save(3, state, {}, META)
  with Checkpointer(tmp_path) as saved:
    state = saved.restore(_abstract(mesh))
  for _ in range(3):
    state = step(state)
  _assert_same(state, expected)
  assert step._cache_size() == 1  # A restored state compiles nothing anew.


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
    state = _state(2, _mesh(4, 1), rules=saved_rules)
    saved.save(2, state, {}, META)
  abstract = _abstract(_mesh(devices, fsdp), rules=rules)
  with Checkpointer(tmp_path, read_only=True) as saved:
    found = saved.restore(abstract)
  _assert_same(found, state)
  for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(abstract), strict=True):
    assert left.sharding.is_equivalent_to(right.sharding, left.ndim)


def test_last_and_best_are_kept_at_once(tmp_path: pathlib.Path) -> None:
  kept = _save_steps(tmp_path, [1.0, 5.0, 3.0, None, None, 4.0])
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
  assert _save_steps(tmp_path, [None, None, None], keep_last=1) == [3]
  with Checkpointer(tmp_path, metric="score", read_only=True) as saved:
    assert saved.best_step() == 3


def test_a_step_is_saved_once(tmp_path: pathlib.Path) -> None:
  with Checkpointer(tmp_path) as saved:
    assert saved.save(1, _state(1), {}, META)
    assert not saved.save(1, _state(2), {}, META)
    _assert_same(saved.restore(_abstract()), _state(1))


def test_meta_needs_no_arrays(tmp_path: pathlib.Path) -> None:
  with Checkpointer(tmp_path) as saved:
    saved.save(1, _state(1), {"score": 2.0}, META)
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


def test_a_misfit_names_leaf_shapes_and_mend(tmp_path: pathlib.Path) -> None:
  with Checkpointer(tmp_path) as saved:
    saved.save(1, _state(1), {}, META)
    with pytest.raises(UserError) as found:
      saved.restore(_abstract(width=16), config={"name": "demo", "model": {"width": 16}})
    message = str(found.value)
    assert "params/dense/bias: found float32[8], expected float32[16], and 7 more" in message
    assert "another config (model.layers: [1, 2] -> (no such key); model.width: 8 -> 16)" in message
    assert "use that run's config, or a new --workdir" in message
    with pytest.raises(UserError, match=r"ema_params/.*: found .*, expected nothing"):
      saved.restore(_abstract(ema=False))


def test_another_optimizer_is_a_misfit(tmp_path: pathlib.Path) -> None:
  with Checkpointer(tmp_path) as saved:
    saved.save(1, _state(1), {}, META)
    other = train_state.abstract_train_state(_init, optax.sgd(0.1, 0.9), _mesh(), ema=True)
    with pytest.raises(UserError, match=r"opt_state/.*trace.*: found nothing, expected float32"):
      saved.restore(other, config=CONFIG)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("which", ["best", "latest", None, 3])
def test_no_checkpoint_is_a_clear_error(
    tmp_path: pathlib.Path, read_only: bool, which: str | int | None
) -> None:
  with Checkpointer(tmp_path / "checkpoints", read_only=read_only) as saved:
    assert saved.latest_step() is saved.best_step() is None
    with pytest.raises(UserError, match=r"checkpoints: no checkpoint: train first"):
      saved.restore(_abstract(), which)
  assert (tmp_path / "checkpoints").exists() != read_only


def test_an_absent_step_lists_those_kept(tmp_path: pathlib.Path) -> None:
  _save_steps(tmp_path, [None] * 3)
  with (
      Checkpointer(tmp_path, read_only=True) as saved,
      pytest.raises(UserError, match="no checkpoint of step 1: kept are 2, 3"),
  ):
    saved.restore(_abstract(), 1)


def test_damage_is_a_clear_error(tmp_path: pathlib.Path) -> None:
  _save_steps(tmp_path, [None] * 2)
  for path in (tmp_path / "2" / "state").rglob("*"):
    if path.is_file():
      path.write_bytes(path.read_bytes()[:5])
  (tmp_path / "1" / "meta" / "metadata").write_text("{")
  with Checkpointer(tmp_path, read_only=True) as saved:
    with pytest.raises(UserError, match="/2: cannot be read") as found:
      saved.restore(_abstract(), 2)
    assert "\n" not in str(found.value)
    with pytest.raises(UserError, match=r"/1/meta/metadata: unreadable .*remove .*/1 to go on"):
      saved.restore(_abstract(), 1)


def test_a_format_of_the_future(tmp_path: pathlib.Path) -> None:
  _save_steps(tmp_path, [None])
  path = tmp_path / "1" / "meta" / "metadata"
  path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
  with (
      Checkpointer(tmp_path, read_only=True) as saved,
      pytest.raises(UserError, match=r"format 2, this code reads 1: .*0\.1\.0"),
  ):
    saved.read_meta()


def test_what_a_kill_left_is_removed_at_the_start(tmp_path: pathlib.Path) -> None:
  assert _save_steps(tmp_path, [2.0, 1.0, None, None]) == [1, 3, 4]
  whole = tmp_path / "4"
  shutil.copytree(whole, tmp_path / "5.orbax-checkpoint-tmp")  # Saving was under way.
  shutil.copytree(whole, tmp_path / "2")  # Deleting was under way.
  shutil.rmtree(tmp_path / "2" / "meta")
  (tmp_path / "2" / "_CHECKPOINT_METADATA").unlink()
  with Checkpointer(tmp_path, keep_last=2, metric="score", read_only=True) as saved:
    assert (saved.latest_step(), saved.best_step()) == (4, 1)
  assert (tmp_path / "5.orbax-checkpoint-tmp").exists()
  with Checkpointer(tmp_path, keep_last=2, metric="score") as saved:
    assert saved.all_steps() == [1, 3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "3", "4"]


def _child(*arguments: str) -> subprocess.CompletedProcess[str]:
  program = pathlib.Path(__file__).parent / "checkpoint_child.py"
  return subprocess.run(
      [sys.executable, str(program), *arguments],
      capture_output=True, text=True, check=False, timeout=300,
      env={"PYTHONPATH": str(program.parents[1]), "JAX_PLATFORMS": "cpu", "PATH": "/usr/bin:/bin"},
  )


def test_killed_at_any_moment_it_goes_on_from_a_whole_checkpoint(tmp_path: pathlib.Path) -> None:
  done = _child("kill", str(tmp_path / "checkpoints"), "6")  # It compares every restored leaf.
  assert done.returncode == 0, done.stderr
  *runs, (_, torn) = [line.split() for line in done.stdout.splitlines()]
  assert int(torn) > 0, "no kill came in the middle of a save: the test shows nothing"
  reached = 0
  for restored, best, safe in runs:
    assert int(restored) >= reached  # What was safe is still there,
    steps = range(1, int(restored) + 1, 2)
    score = {step: float(np.random.default_rng(step).uniform()) for step in steps}
    assert best == str(max(score, key=lambda step: score[step], default=None))  # the best too.
    reached = int(safe)
  assert reached > 0


def test_a_disk_that_fills_up_leaves_the_earlier_checkpoint(tmp_path: pathlib.Path) -> None:
  done = _child("disk", str(tmp_path))
  assert done.returncode == 1
  assert "saving failed" in done.stdout
  assert "Error writing local file" in done.stdout or "File too large" in done.stdout
  assert done.stdout.count("\n") == 1
  assert "ERROR:absl" not in done.stderr
  with Checkpointer(tmp_path) as saved:
    assert saved.all_steps() == [1]
    assert saved.read_meta()["leaves"]["params/leaf_0"] == "float32[256,256]"
  assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_keeping_none_is_an_error(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match=r"train\.keep_last=0: must be at least 1"):
    Checkpointer(tmp_path, keep_last=0)


def test_a_folder_that_cannot_be_made(tmp_path: pathlib.Path) -> None:
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match=r"file/run: .*Not a directory.*choose another --workdir"):
    Checkpointer(tmp_path / "file" / "run")
