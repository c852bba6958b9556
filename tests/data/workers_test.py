"""Parallel reading: same order and result for any number of workers, and crashes survived."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from mla_jax.data import workers
from mla_jax.data.media import FEATURES, Media, MediaFile, MediaSettings

_SETTINGS = MediaSettings(1.0, feature_width=3)


class _Killer:
  """Ends the process that reads it, as a crash of a decoder would."""

  @property
  def source(self) -> str:
    os._exit(1)


def _write(directory: pathlib.Path, count: int) -> list[Any]:
  files: list[Any] = []
  for i in range(count):
    path = directory / f"{i}.npy"
    np.save(path, np.full((2, 4 if i % 7 == 3 else 3), i, np.float16))
    files.append(MediaFile(FEATURES, str(path)))
  return files


def _values(results: list[Media | str]) -> list[int | str]:
  return [r if isinstance(r, str) else int(np.asarray(r.payload)[0, 0]) for r in results]


@pytest.mark.parametrize("num_workers", [1, 3])
def test_results_come_in_order(tmp_path: pathlib.Path, num_workers: int) -> None:
  files = _write(tmp_path, 20)
  results = _values(list(workers.read_in_order(files, _SETTINGS, num_workers)))
  wrong = "width 4, the others have 3"
  assert results == [wrong if i % 7 == 3 else i for i in range(20)]


def test_a_file_that_kills_its_reader_is_the_only_one_lost(tmp_path: pathlib.Path) -> None:
  files = _write(tmp_path, 24)
  files[9] = _Killer()
  results = _values(list(workers.read_in_order(files, _SETTINGS, 2)))
  assert "ends the process" in str(results[9])
  assert [r for i, r in enumerate(results) if i != 9 and i % 7 != 3] == [
    i for i in range(24) if i != 9 and i % 7 != 3
  ]


_PARENT = """
import os, signal
from mla_jax.data import process_pool
if __name__ == "__main__":
  pool = process_pool.new_pool(1)
  print(pool.submit(os.getpid).result(), flush=True)
  os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_killed_parent(tmp_path: pathlib.Path) -> None:
  script = tmp_path / "parent.py"
  script.write_text(_PARENT)
  root = pathlib.Path(__file__).parents[2]
  done = subprocess.run(
    [sys.executable, script],
    capture_output=True,
    text=True,
    timeout=60,
    check=False,
    env=os.environ | {"PYTHONPATH": str(root)},
  )
  assert done.returncode == -signal.SIGKILL, done.stderr
  worker = int(done.stdout)
  deadline = time.monotonic() + 20
  while _runs(worker) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not _runs(worker)


def _runs(process: int) -> bool:
  try:
    return (
      ") Z " not in pathlib.Path(f"/proc/{process}/stat").read_text()
    )  # Z: ended, not yet reaped.
  except OSError:
    return False
