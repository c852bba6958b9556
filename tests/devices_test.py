"""What the process sets up before it touches a device, each case in a process of its own."""

import os
import subprocess
import sys

import pytest

_PAGES = 64 * 2**20 // 4096  # Of the 64 MB between the two matrix products.
_CHILD = """
import resource
import sys

import jax
import jax.numpy as jnp

from mla_jax import devices

if sys.argv[1] == "keep":
  devices.keep_freed_memory()
x, kernel = jnp.ones((4096, 16)), jnp.ones((16, 4096))
step = jax.jit(lambda x, kernel: jnp.sin(x @ kernel) @ kernel.T)
faults = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt]
for _ in range(10):
  jax.block_until_ready(step(x, kernel))
  faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
# Of steps when the heap has found its shape; the least, for other jobs can only add to it.
print(min(after - before for before, after in zip(faults[5:], faults[6:])))
"""


def _page_faults_of_a_step(mode: str) -> int:
  environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
  command = [sys.executable, "-c", _CHILD, mode]
  return int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is glibc's")
def test_a_step_reuses_the_memory_of_the_step_before() -> None:
  assert _page_faults_of_a_step("keep") < _PAGES / 10
  # Else the test measures nothing, or jax has learnt to keep it and the setting can go.
  assert _page_faults_of_a_step("plain") > _PAGES / 2
