"""What worker processes of the tests call: imported there, so light."""

import os
import time

import numpy as np

from mla_jax.errors import UserError


def about_process(what: np.ndarray) -> dict[str, np.ndarray]:
  if what == 1:
    raise UserError("text video7@3: bad")
  if what == 2:
    os._exit(1)
  time.sleep(0.2)
  return {"process": np.array(os.getpid())}
