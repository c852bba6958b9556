"""The ring round a pod goes from neighbour to neighbour and misses no chip."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import jax
import numpy as np
import pytest

from mla_jax.losses.ring_order import ring_order


@dataclasses.dataclass(frozen=True)
class Chip:
  coords: tuple[int, ...] | None


def pod(shape: tuple[int, ...], seed: int, low: int = 0) -> list[Chip]:
  """A box of chips in no order."""
  places = np.random.default_rng(seed).permutation(list(np.ndindex(*shape))) + low
  return [Chip(tuple(map(int, place))) for place in places]


@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    seed=st.integers(0, 100),
    low=st.integers(0, 3),
)
def test_every_chip_sends_to_its_neighbour(shape: list[int], seed: int, low: int) -> None:
  chips = pod(tuple(shape), seed, low)
  order = ring_order(chips)
  assert sorted(order) == list(range(len(chips)))
  sides = [side for side in shape if side > 1]
  if len(chips) % 2 or len(sides) < 2:  # A chessboard of an odd number has no such ring.
    assert len(chips) == 2 or order == tuple(range(len(chips)))
    return
  for one, other in zip(order, [*order[1:], order[0]], strict=True):
    steps = np.abs(np.subtract(chips[one].coords, chips[other].coords))
    assert steps.sum() == 1


@pytest.mark.parametrize("shape", [(4, 4, 1), (8, 8, 1), (16, 16, 1), (4, 4, 8)])
def test_pods_have_one(shape: tuple[int, ...]) -> None:
  chips = pod(shape, 0)
  assert ring_order(chips) != tuple(range(len(chips)))


@pytest.mark.parametrize(
    "chips",
    [
        [Chip(None)] * 4,  # No TPU.
        [Chip((0, 0)), Chip((0, 0)), Chip((0, 1)), Chip((0, 1))],  # Two cores a chip.
        [Chip((0, 0)), Chip((0, 1)), Chip((1, 0)), Chip((2, 2))],  # No box.
        [Chip((0, 0))],
        jax.devices(),
    ],
)
def test_otherwise_the_order_of_the_devices(chips: list) -> None:
  assert ring_order(chips) == tuple(range(len(chips)))
