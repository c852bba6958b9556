"""Whether a run can write its folder: told at the start, not at the first checkpoint."""

import os
import pathlib
import shutil
from typing import Any

from mla_jax.errors import UserError

MIN_FREE_BYTES = 64 * 2**20


def check_writable(
    workdir: str | os.PathLike[str], needed_bytes: int = 0, *, flag: str = "--workdir"
) -> None:
  """Makes the folder and proves at the start that a run can write there.

  Args:
    workdir: of the run.
    needed_bytes: what its checkpoints will take, beside a reserve of 64 MiB.
    flag: which names the folder.

  Raises:
    UserError: it cannot be made or written, or has too little free space.
  """
  path = pathlib.Path(workdir)
  probe = path / f".write_probe_{os.getpid()}"
  try:
    path.mkdir(parents=True, exist_ok=True)
    try:
      with open(probe, "wb") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    finally:
      probe.unlink(missing_ok=True)
    free = shutil.disk_usage(path).free
  except OSError as error:
    raise UserError(
        f"{path}: cannot be written ({error.strerror}): choose another {flag}"
    ) from error
  needed = needed_bytes + MIN_FREE_BYTES
  if free < needed:
    raise UserError(
        f"{path}: {free / 2**20:.0f} MiB free, the run needs about {needed / 2**20:.0f} MiB: "
        f"free space or choose another {flag}"
    )


def state_bytes(abstract_state: Any) -> int:
  """Size of one checkpoint of this state."""
  import jax  # Late: what starts other processes needs none of it.

  return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract_state))
