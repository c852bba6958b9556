"""What a process does before it touches a device."""

import ctypes

import jax

from mla_jax.log import logger

# Of malloc.h; see mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


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
  """Where the CPU is the device: the process keeps the memory it frees, for the next step.

  XLA allocates the intermediate values of a step in one piece and frees them after it. Left to
  itself glibc returns a piece of this size to the system, and in the next step every page of it is
  mapped and zeroed anew: a fifth of the step's CPU time (docs/speed.md). Call it before anything
  else touches jax: only the main thread's memory can be kept, so the step has to run there, and
  asynchronous dispatch, which runs it elsewhere, is fixed when the CPU client is made. Nothing is
  changed for other devices, nor where malloc is not glibc's.
  """
  jax.config.update("jax_cpu_enable_async_dispatch", False)
  mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
  if jax.default_backend() == "cpu" and mallopt is not None:
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)
