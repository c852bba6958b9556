"""What a process does before it touches a device."""

import jax

from mla_jax.log import logger


def prepare() -> None:
  """Keeps tensorflow, which only reads data here, off the accelerators, and logs the devices."""
  import tensorflow as tf

  for kind in ("GPU", "TPU"):
    tf.config.set_visible_devices([], kind)
  logger.info(
      "process %d of %d: %s", jax.process_index(), jax.process_count(), jax.local_devices()
  )
