"""What worker processes of the tests call: imported there, so light."""

import os
import time

import numpy as np

from mla_jax.data.examples import Fields
from mla_jax.data.text import TokenizedText
from mla_jax.data.text_states import TextStates
from mla_jax.errors import UserError


def about_process(what: np.ndarray) -> Fields:
  if what == 1:
    raise UserError("text video7@3: bad")
  if what == 2:
    os._exit(1)
  time.sleep(0.2)
  return {"process": np.array(os.getpid())}


def about_text(states: TextStates, text: TokenizedText) -> Fields:
  return {"states": states.lookup(text)}


def of_size(size: np.ndarray) -> Fields:
  """Arrays that tell which call they are of: of every kind, empty, strings, and not in a row."""
  count = int(size)
  table = np.arange(6 * count, dtype=np.float32).reshape(count, 6)
  return {
      "scalar": np.array(count),
      "none": np.zeros((0, 3), np.int32),
      "odd": np.full(count % 7, count % 100, np.int8),
      "table": table,
      "columns": table[:, ::2].T,
      "half": np.full((count, 5), count % 1000, np.float16),
      "frames": np.array([bytes([count % 256])] * 3, object),
      "process": np.array(os.getpid()),
  }
