"""What turns indices into examples, for training and evaluation."""

import dataclasses

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
    process, processes: which share of every batch is read here; rows are divided in order.
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
  process: int = 0
  processes: int = 1
  workers: int = 0

  def share(self, rows: int) -> slice:
    """This process's rows of a global batch of `rows`.

    Raises:
      UserError: they do not divide over the processes.
    """
    if rows % self.processes:
      raise UserError(
          f"a batch of {rows} rows does not divide over {self.processes} processes: change "
          "data.sources or eval.batch_size"
      )
    local = rows // self.processes
    return slice(self.process * local, (self.process + 1) * local)

  def padded(self, rows: int) -> int:
    """Rows of an evaluation's batch, of at least `rows`: they divide over the devices."""
    return -(-rows // self.devices) * self.devices

  def whole(self) -> "Reader":
    """One that reads all rows, for what every process does by itself."""
    return dataclasses.replace(self, process=0, processes=1, devices=1)
