"""Ring losses over real processes are the dense ones of one process, in value and gradient."""

from collections.abc import Sequence
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.commands import environment
from tests.losses.ring_test import LOSSES
from tests.multiprocess.jobs import finish, free_port

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).resolve().parents[2]


def compute(
    impl: str, losses: Sequence[str], processes: int, devices: int, out: pathlib.Path
) -> dict[str, np.ndarray]:
  """Losses with their gradients, by so many processes with so many devices each."""
  child = "tests.multiprocess.ring_child"
  command = [sys.executable, "-m", child, impl, ",".join(losses), str(out)]
  port = free_port()
  started = []
  for number in range(processes):
    job = [f"localhost:{port}", str(processes), str(number)] if processes > 1 else []
    started.append(
        subprocess.Popen(
            command + job, cwd=ROOT, env=environment(devices), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
    )
  for code, _, error in finish(started):
    assert code == 0, error[-3000:]
  with np.load(out) as found:
    return dict(found)


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
  return compute("dense", LOSSES, 1, 2, tmp_path_factory.mktemp("dense") / "found.npz")


@pytest.mark.parametrize(
    ("losses", "processes", "devices"), [(LOSSES, 2, 2), (("sigmoid", "timed"), 4, 1)]
)
def test_ring_over_processes_is_dense_in_one(losses, processes, devices, dense, tmp_path) -> None:
  ring = compute("ring", losses, processes, devices, tmp_path / "found.npz")
  assert ring.keys() == {name for name in dense if name.partition("/")[0] in losses}
  for name, found in ring.items():
    largest = np.abs(dense[name]).max()
    assert largest > 0 or name == "softmax/bias"  # Which it does not depend on.
    np.testing.assert_allclose(
        found, dense[name], rtol=1e-5, atol=1e-5 * largest + 1e-9, err_msg=name
    )
