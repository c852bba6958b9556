import pathlib
import shutil

import jax
import jax.numpy as jnp
import pytest

from mla_jax import disk_space
from mla_jax.errors import UserError


def test_a_workdir_that_cannot_be_made(tmp_path: pathlib.Path) -> None:
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match=r"file/run: .*Not a directory.*choose another --workdir"):
    disk_space.check_writable(tmp_path / "file" / "run")
  with pytest.raises(UserError, match="choose another --out"):
    disk_space.check_writable(tmp_path / "file" / "run", flag="--out")


def test_a_writable_workdir_is_made_and_left_empty(tmp_path: pathlib.Path) -> None:
  disk_space.check_writable(tmp_path / "a" / "b")
  assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_workdir_without_space(tmp_path: pathlib.Path) -> None:
  free = shutil.disk_usage(tmp_path).free
  with pytest.raises(UserError, match=r"MiB free, the run needs about \d+ MiB: free space"):
    disk_space.check_writable(tmp_path, free)


def test_state_bytes() -> None:
  state = {
      "kernel": jnp.zeros((4, 8)),
      "half": jax.ShapeDtypeStruct((3,), jnp.bfloat16),
      "step": jax.ShapeDtypeStruct((), jnp.int32),
  }
  assert disk_space.state_bytes(state) == 4 * 8 * 4 + 3 * 2 + 4
