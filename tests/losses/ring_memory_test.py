"""What the ring allocates on a pod that is not here: `make test-aot` brings the compiler.

Growth with the pod is tested of softmax alone: `timed` takes minutes to compile for 256 chips. All
losses, on all sizes of pods, are in the table of docs/scaling.md: `make bench-loss_memory`.
"""

import functools

import pytest

from benchmarks import loss_memory
from tests import extras

pytestmark = pytest.mark.slow
ROWS = 128  # A chip.
_measure = functools.cache(loss_memory.measure)  # A program for 256 chips takes a minute or more.


def test_the_ring_needs_no_more_on_a_larger_pod() -> None:
  extras.need("libtpu", "aot")
  small, large = (_measure("softmax", "ring", chips, ROWS * chips) for chips in (16, 256))
  assert 0 < large.temporary < 1.1 * small.temporary
  assert large.peak < 1.1 * small.peak


@pytest.mark.parametrize(("loss", "chips"), [("softmax", 256), ("latent_max", 16)])
def test_the_ring_needs_a_twentieth_of_dense_at_most(loss: str, chips: int) -> None:
  extras.need("libtpu", "aot")
  dense, ring = (_measure(loss, impl, chips, ROWS * chips) for impl in ("dense", "ring"))
  assert 0 < ring.temporary < 0.05 * dense.temporary
