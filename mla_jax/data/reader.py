"""What turns indices into examples, for training and evaluation."""

import dataclasses

from jaxtyping import Int
import numpy as np

from mla_jax.data.examples import NOTHING_MORE, Shapes
from mla_jax.data.records import MediaStore
from mla_jax.data.task_fields import TaskFields
from mla_jax.data.text import Tokenizer
from mla_jax.data.text_states import TextStates
from mla_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Reader:
  """What turns indices into examples: the same for training and evaluation.

  Attributes:
    media: the videos; None for a model without video.
    tokenizer: of the run.
    shapes: sizes of a batch.
    answers: answer -> class; None for tasks without answers.
    wanted: what else the task reads of a text.
    states: what a frozen text encoder makes of every training text; None: texts are token ids.
    probe: what is spoilt in evaluation, see `probes`.
    devices: of the mesh: batches of an evaluation are made a multiple of them.
    places: of this process's devices among them, in the order of a batch's rows; see
      `sharding.batch_places`.
    workers: processes that make the rows of training; 0: threads of this one.
  """

  media: MediaStore | None
  tokenizer: Tokenizer
  shapes: Shapes
  answers: dict[str, int] | None
  wanted: TaskFields = NOTHING_MORE
  states: TextStates | None = None
  probe: str | None = None
  devices: int = 1
  places: tuple[int, ...] = (0,)
  workers: int = 0

  def share(self, rows: int) -> Int[np.ndarray, " n"]:
    """This process's rows of a global batch of `rows`, ascending.

    Raises:
      UserError: they do not divide over the devices.
    """
    if rows % self.devices:
      raise UserError(
          f"a batch of {rows} rows does not divide over {self.devices} devices: change "
          "data.sources or eval.batch_size"
      )
    return np.arange(rows).reshape(self.devices, -1)[list(self.places)].reshape(-1)

  def padded(self, rows: int) -> int:
    """Rows of an evaluation's batch, of at least `rows`: they divide over the devices."""
    return -(-rows // self.devices) * self.devices

  def whole(self) -> "Reader":
    """One that reads all rows, for what every process does by itself."""
    return dataclasses.replace(self, devices=1, places=(0,))
