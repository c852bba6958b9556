"""How the process's C library treats memory that was freed."""

import ctypes
import platform

# malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_GIBIBYTE = 2**30


def keep_freed_memory() -> bool:
  """Keeps freed memory for the next allocation instead of giving it back to the system.

  XLA on CPU allocates the temporary buffers of a step in one piece each time it runs; by default
  every one of their pages is then faulted in and zeroed anew in each step, a quarter of a small
  model's CPU time. The price: the process's size stays at its peak. Call it before jax is imported:
  some settings are read once, when a second thread first allocates.

  Returns:
    Whether it took effect; False where the C library is not glibc.
  """
  if platform.libc_ver()[0] != "glibc":
    return False
  mallopt = ctypes.CDLL(None).mallopt
  settings = {
      # Arenas of threads cannot hold large blocks and would map those anew.
      _M_ARENA_MAX: 1,
      _M_MMAP_THRESHOLD: _GIBIBYTE,
      _M_TRIM_THRESHOLD: 2 * _GIBIBYTE - 1,
  }
  return all(mallopt(name, value) == 1 for name, value in settings.items())
