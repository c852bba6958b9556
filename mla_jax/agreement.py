"""What all processes of a job must have in common before they do anything together."""

from collections.abc import Iterable
import pathlib
import secrets
import time

import jax
from ml_collections import ConfigDict

from mla_jax import code_version, pretrained_files, processes
from mla_jax.config_values import to_plain
from mla_jax.data.prepared import evaluated, fingerprint

_APPEAR_SECONDS = 10.0  # In which a file of one host is seen on all.


def check_same(config: ConfigDict, *, training: bool) -> None:
  """Raises a `UserError` in every process unless all run the same code on the same data.

  An evaluation needs none of the data that the run was trained on.
  """
  trained_on = fingerprint(config) if training else {}
  mine = {
      "config": to_plain(config),
      "code_version": code_version.current(),
      "jax": jax.__version__,
      "data_fingerprint": trained_on | evaluated(config),
      # One process need not read 80 MB to agree with itself.
      "weights": pretrained_files.fingerprint(config) if jax.process_count() > 1 else {},
  }
  mend = "start all with the same code, config and data"
  processes.check_agreement(mine, where="agreement", mend=mend)


def check_shared(workdir: pathlib.Path) -> None:
  """Raises a `UserError` in every process unless the workdir is the same folder for all.

  Its path may differ, as hosts mount a file system where they like: so each looks for a file that
  the first makes in it for the moment.
  """
  if jax.process_count() == 1:
    return
  # Nobody has looked for this name before, so that no cache can say that it is not there.
  name = processes.gather_texts(f".shared_{secrets.token_hex(8)}")[0]
  mark, first = workdir / name, processes.is_first()
  try:
    if first:
      mark.write_text("Whether all hosts see this.\n")
    processes.wait_for_all("shared workdir")
    seen = "yes" if _appears(mark) else f"not in {workdir}"
    mend = "use a --workdir on a file system that all hosts share"
    fact = "sees what process 0 writes to its --workdir"
    processes.check_agreement({fact: seen}, where="shared workdir seen", mend=mend)
  finally:
    if first:
      mark.unlink(missing_ok=True)


def check_checkpoints(folder: pathlib.Path, steps: Iterable[int], *, where: str) -> None:
  """Raises a `UserError` in every process unless all are about to use the same checkpoints.

  Args:
    folder: where they are.
    steps: of those that this process sees, or of the one it has chosen.
    where: see `processes.check_agreement`.
  """
  mend = (
      f"all must see the same in {folder}: is --workdir on a file system that all hosts share? "
      "If it shows files late, or a training goes on in it, start again"
  )
  seen = ", ".join(map(str, steps)) or "none"
  processes.check_agreement({"checkpoints": seen}, where=where, mend=mend)


def _appears(path: pathlib.Path) -> bool:
  end = time.monotonic() + _APPEAR_SECONDS
  while not (found := path.exists()) and time.monotonic() < end:
    time.sleep(0.1)
  return found
