"""What a process does before it touches a device."""

import ctypes

import jax

from mla_jax.log import logger

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_KEPT_BYTES = 2**31 - 1  # The largest that mallopt takes.


def prepare() -> None:
  """Keeps tensorflow, which only reads data here, off the accelerators, and logs the devices."""
  import tensorflow as tf

  for kind in ("GPU", "TPU"):
    tf.config.set_visible_devices([], kind)
  keep_freed_memory()
  logger.info(
      "process %d of %d: %s", jax.process_index(), jax.process_count(), jax.local_devices()
  )


def keep_freed_memory() -> None:
  """Where the CPU is the device: lets the process keep up to 2 GB it has freed, for the next step.

  XLA allocates the intermediate values of a step in one piece and frees them after it. Left to
  itself glibc returns a piece of this size to the system, and the next step waits for every page
  of it to be mapped and zeroed again: a fifth of the step's CPU time (docs/results.md). Call it
  before anything else touches jax: dispatch is made synchronous, because malloc keeps memory for
  the main thread only, and has to be so before the CPU client exists. No effect on other devices,
  nor where malloc is not glibc's.
  """
  jax.config.update("jax_cpu_enable_async_dispatch", False)
  mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
  if jax.default_backend() != "cpu" or mallopt is None:
    return
  mallopt(_M_MMAP_MAX, 0)
  mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
