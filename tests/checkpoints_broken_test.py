"""Checkpoints missing, damaged, cut off or another run's: one line is said and nothing lost."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import optax
import pytest

from mla_jax import train_state
from mla_jax.checkpoints import Checkpointer
from mla_jax.errors import UserError
from tests.checkpoint_states import (
    CONFIG,
    META,
    abstract,
    init,
    make_mesh,
    make_state,
    save_steps,
)


def test_a_misfit_names_leaf_shapes_and_mend(tmp_path: pathlib.Path) -> None:
  with Checkpointer(tmp_path) as saved:
    saved.save(1, make_state(1), {}, META)
    with pytest.raises(UserError) as found:
      saved.restore(abstract(width=16), config={"name": "demo", "model": {"width": 16}})
    message = str(found.value)
    assert "params/dense/bias: found float32[8], expected float32[16], and 7 more" in message
    assert "another config (model.layers: [1, 2] -> (no such key); model.width: 8 -> 16)" in message
    assert "use that run's config, or a new --workdir" in message
    with pytest.raises(UserError, match=r"ema_params/.*: found .*, expected nothing"):
      saved.restore(abstract(ema=False))


def test_another_optimizer_is_a_misfit(tmp_path: pathlib.Path) -> None:
  with Checkpointer(tmp_path) as saved:
    saved.save(1, make_state(1), {}, META)
    other = train_state.abstract_train_state(init, optax.sgd(0.1, 0.9), make_mesh(), ema=True)
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
      saved.restore(abstract(), which)
  assert (tmp_path / "checkpoints").exists() != read_only


def test_an_absent_step_lists_those_kept(tmp_path: pathlib.Path) -> None:
  save_steps(tmp_path, [None] * 3)
  with (
      Checkpointer(tmp_path, read_only=True) as saved,
      pytest.raises(UserError, match="no checkpoint of step 1: kept are 2, 3"),
  ):
    saved.restore(abstract(), 1)


def test_damage_is_a_clear_error(tmp_path: pathlib.Path) -> None:
  save_steps(tmp_path, [None] * 2)
  for path in (tmp_path / "2" / "state").rglob("*"):
    if path.is_file():
      path.write_bytes(path.read_bytes()[:5])
  (tmp_path / "1" / "meta" / "metadata").write_text("{")
  with Checkpointer(tmp_path, read_only=True) as saved:
    with pytest.raises(UserError, match="/2: cannot be read") as found:
      saved.restore(abstract(), 2)
    assert "\n" not in str(found.value)
    with pytest.raises(UserError, match=r"/1/meta/metadata: unreadable .*remove .*/1 to go on"):
      saved.restore(abstract(), 1)


def test_a_format_of_the_future(tmp_path: pathlib.Path) -> None:
  save_steps(tmp_path, [None])
  path = tmp_path / "1" / "meta" / "metadata"
  path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
  with (
      Checkpointer(tmp_path, read_only=True) as saved,
      pytest.raises(UserError, match=r"format 2, this code reads 1: .*0\.1\.0"),
  ):
    saved.read_meta()


def test_what_a_kill_left_is_removed_at_the_start(tmp_path: pathlib.Path) -> None:
  assert save_steps(tmp_path, [2.0, 1.0, None, None]) == [1, 3, 4]
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
