"""Compiled for a TPU that is not here, by libtpu: `make test-aot` installs and requires it."""

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any

import pytest

from mla_jax import config_lib
from mla_jax.errors import UserError
from mla_jax.planner import compile as compile_lib
from mla_jax.planner import report, run
from mla_jax.planner.compile import Compiled
from mla_jax.planner.run import plan
from mla_jax.planner.topology import CHIPS, Target, open_target
from tests import extras
from tests.planner import fsdp

DEBUG = "configs/msrvtt_mini_retrieval.py:debug"


@pytest.fixture
def tpu() -> Target:
  extras.need("libtpu", "aot")
  return open_target("v5e:2x2")


def test_a_layout_that_does_not_exist_is_named(tpu: Target) -> None:
  with pytest.raises(UserError, match=r"--topology=v5e:3x5: .*needs a layout that exists"):
    open_target("v5e:3x5")


@pytest.mark.slow
def test_a_tpu_that_is_not_here(tpu: Target) -> None:
  config = config_lib.load_config(DEBUG, {"mesh.data": 1, "mesh.fsdp": -1, "sharding.min_size": 0})
  compiled = compile_lib.compile_step(config, tpu)
  assert report.fits(compiled, CHIPS["v5e"])
  assert report.collective_totals(compiled.collectives)["all-gather"]["bytes"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("looped", [False, True])
@pytest.mark.parametrize("mesh", [(2, 4), (1, 8)])
def test_an_fsdp_gradient_moves_what_its_shapes_say(mesh: tuple[int, int], looped: bool) -> None:
  """Products take bfloat16, so that kernels are gathered in it; a loop gathers for either pass."""
  extras.need("libtpu", "aot")
  found = fsdp.moved(open_target("v5e:2x4"), *mesh, looped=looped)
  assert found == fsdp.needed(*mesh, gathers=1 + looped, itemsize=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pretrain_webvid", "pretrain_howto100m"])
def test_the_pretraining_configs_fit_a_pod(tpu: Target, name: str, tmp_path: pathlib.Path) -> None:
  """Three minutes each; docs/scaling.md has the tables."""
  config = config_lib.load_config(f"configs/{name}.py")
  found = plan(config, "v5e:16x16", find_batch=False, workdir=tmp_path)
  assert found["memory_per_chip"]["total"] <= 0.85 * found["capacity_per_chip"]
  assert found["collective_bytes"] <= 1.5 * found["collective_bytes_at_least"]
  assert found["seconds_at_least"]["compute"] == max(found["seconds_at_least"].values())


@pytest.mark.slow
def test_the_largest_batch_of_a_tpu(tpu: Target, monkeypatch, capsys) -> None:
  """Long clips: two rows a chip need 21 MB, and each further one 1.4 MB."""
  changes = {"data.num_frames": 256, "model.video.max_frames": 256}
  changes |= {"data.sources.captions.rows": 8, "data.captions": 1}
  small = dataclasses.replace(CHIPS["v5e"], memory_bytes=23.1e6)
  monkeypatch.setattr(run, "open_target", lambda name: dataclasses.replace(tpu, chip=small))
  compiled: list[int] = []

  def compile_step(*args: Any, real: Callable = compile_lib.compile_step) -> Compiled:
    found = real(*args)
    compiled.append(found.rows)
    return found

  monkeypatch.setattr(compile_lib, "compile_step", compile_step)
  config = config_lib.load_config(DEBUG, changes)
  most = plan(config, "v5e:2x2", find_batch=True)["largest_batch_per_chip"]
  said = capsys.readouterr().out
  assert most >= 2
  assert f"{most} rows a chip: fit\n" in said and f"{most + 1} rows a chip: do not fit\n" in said
  assert len(compiled) == len(set(compiled)) > 1  # The config's own rows are not compiled again.
