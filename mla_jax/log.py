"""Quiet logs on standard error: ours in full, the libraries' warnings."""

import logging
import os
import sys

logger = logging.getLogger("mla_jax")


def configure() -> None:
  """Sets the logs up; before tensorflow is imported, whose C++ side reads the environment."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
  from absl import logging as absl_logging

  absl_logging.set_verbosity(absl_logging.ERROR)
  handler = logging.StreamHandler(sys.stderr)
  handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
  logger.addHandler(handler)
  logger.setLevel(logging.INFO)
  logger.propagate = False
