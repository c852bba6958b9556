"""What a process does before it touches a device."""

from absl import logging
import jax


def prepare() -> None:
  """Keeps tensorflow, which only reads data here, off the accelerators, and logs the devices."""
  import tensorflow as tf

  for kind in ("GPU", "TPU"):
    tf.config.set_visible_devices([], kind)
  logging.info(
      "process %d of %d: %s", jax.process_index(), jax.process_count(), jax.local_devices()
  )
