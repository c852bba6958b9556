"""Compiled for GPUs that are not here, by JAX's plugin, which `make test-aot` installs."""

from ml_collections import ConfigDict
import pytest

from mla_jax import config_lib, sharding
from mla_jax.planner import compile as compile_lib
from mla_jax.planner import report
from mla_jax.planner.topology import Hosts, Target, open_target
from tests import extras
from tests.planner import fsdp


def _gpus(name: str) -> Target:
  extras.need("jax_cuda12_plugin", "aot")
  return open_target(name)


@pytest.mark.parametrize(("name", "hosts", "each"), [("h100:8", 1, 8), ("a100:4x2", 4, 2)])
def test_gpus_of_several_hosts(name: str, hosts: int, each: int) -> None:
  target = _gpus(name)
  places = [device.process_index for device in target.devices]
  assert places == [host for host in range(hosts) for _ in range(each)]
  mesh = sharding.make_mesh(ConfigDict({"data": hosts, "fsdp": each}), target.devices)
  assert list(mesh.devices.flat) == list(target.devices)  # As planner/links.py counts hosts.
  assert target.chip is not None and target.chip.memory_bytes == 80e9
  assert target.chip.hosts == (Hosts(each, 50e9) if hosts > 1 else None)


@pytest.mark.slow
def test_a_step_for_gpus_that_are_not_here() -> None:
  config = config_lib.load_config(
      "configs/msrvtt_mini_retrieval.py:debug",
      {"mesh.data": 1, "mesh.fsdp": -1, "sharding.min_size": 0},
  )
  target = _gpus("h100:4")
  compiled = compile_lib.compile_step(config, target)
  assert report.fits(compiled, target.chip)
  assert report.collective_totals(compiled.collectives)["all-gather"]["bytes"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("looped", [False, True])
@pytest.mark.parametrize("mesh", [(2, 4), (1, 8)])
def test_an_fsdp_gradient_moves_what_its_shapes_say(mesh: tuple[int, int], looped: bool) -> None:
  found = fsdp.moved(_gpus("h100:8"), *mesh, looped=looped)
  assert found == fsdp.needed(*mesh, gathers=1 + looped, itemsize=4)
