"""The least time on the links: what goes over all of them, over one, over a host's ports."""

import dataclasses

import pytest

from mla_jax.planner import compile as compile_lib
from mla_jax.planner import links, report
from mla_jax.planner.hlo import Collective
from mla_jax.planner.topology import CHIPS, GPU_CHIPS, Hosts

V5E, H100 = CHIPS["v5e"], GPU_CHIPS["h100"]  # All links: 200 and 450 GB/s; v5e has four.
PODS = dataclasses.replace(H100, hosts=Hosts(8, 50e9))
GIGABYTE = 10**9


def _sum(group: int = 0, kind: str = "all-reduce") -> Collective:
  return Collective(kind, GIGABYTE, 1, group, "", "", used=True, counted=True)


def _permute(*pairs: tuple[int, int], count: int = 1) -> Collective:
  return dataclasses.replace(_sum(kind="collective-permute"), count=count, pairs=pairs)


def _ring(step: int, chips: int = 32) -> Collective:
  return _permute(*((chip, (chip + step) % chips) for chip in range(chips)))


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        ([], 0),
        ([_sum()], 2 * 31 / 32 / 200),
        ([_sum(4, "all-gather"), _sum(4, "reduce-scatter")], 2 * 3 / 4 / 200),
        ([_ring(1)], 1 / 50),
        ([_ring(1), _ring(1)], 2 / 50),
        ([_permute((0, 1), count=3)], 3 / 50),
        ([_ring(1), _ring(-1)], 1 / 50),  # Both ways at once, over two links.
        ([_permute((0, 1)), _permute((2, 3))], 1 / 50),
        ([_permute((0, 0), (1, 1))], 0),  # Nothing leaves its chip.
        ([_sum(), _ring(1)], 1 / 50),  # Side by side: the sum has three links beside the ring's.
        ([_sum(), _sum(), _ring(1)], (4 * 31 / 32 + 1) / 200),
    ],
)
def test_a_permutation_has_one_link_of_a_torus(found: list[Collective], seconds: float) -> None:
  assert links.seconds_at_least(found, V5E, 32) == pytest.approx(seconds)


def test_a_switch_gives_a_permutation_all_links() -> None:
  assert links.seconds_at_least([_ring(1)], H100, 8) == pytest.approx(1 / 450)


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        ([_permute((0, 1), (8, 15))], 1 / 450),  # Within hosts of eight.
        ([_permute((7, 8))], 1 / 50),
        ([_ring(1)], 1 / 50),
        # Of four hosts: a host sends 3/4 of the whole, twice, over eight ports.
        ([_sum()], max(2 * 3 / 4 / 8 / 50, 2 * 31 / 32 / 500)),
        ([_sum(16, "all-gather")], max(1 / 2 / 8 / 50, 15 / 16 / 500)),
        ([_sum(8, "all-gather")], 7 / 8 / 500),  # A host may hold the group.
    ],
)
def test_a_port_carries_what_leaves_its_host(found: list[Collective], seconds: float) -> None:
  assert links.seconds_at_least(found, PODS, 32) == pytest.approx(seconds)


def test_two_gpus_a_host_wait_for_their_ports() -> None:
  pairs = dataclasses.replace(H100, hosts=Hosts(2, 50e9))
  assert links.seconds_at_least([_sum()], pairs, 8) == pytest.approx(2 * 3 / 4 / 2 / 50)


def test_the_report_has_it() -> None:
  memory = compile_lib.Memory(1, 2, 1, 1, 5, 1, total=11)
  compiled = compile_lib.Compiled(64, memory, "", {"text": 1e12}, [_ring(1)], 0, [], 4)
  assert report.step_bounds(compiled, V5E, 32)["links"] == pytest.approx(1 / 50)
