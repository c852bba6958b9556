import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
from mla_jax import host_memory
if sys.argv[1] == "keep":
  assert host_memory.keep_freed_memory()
import jax, jax.numpy as jnp
step = jax.jit(lambda x: jnp.sin(x @ x.T).sum())  # 80 MiB in between.
x = jnp.ones((4608, 16))
faults = []
for _ in range(40):
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  step(x).block_until_ready()
  faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults)[len(faults) // 2])
"""


def _median_faults(mode: str) -> int:
  done = subprocess.run(
      [sys.executable, "-c", _PROGRAM, mode], capture_output=True, text=True, check=True
  )
  return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_the_buffers_of_a_step_are_not_faulted_in_again() -> None:
  assert _median_faults("default") > 10_000
  assert _median_faults("keep") < 1_000
