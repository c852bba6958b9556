"""The training command in processes of its own: started, read, killed."""

from collections.abc import Callable
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parents[1]


def command(config: str, data: pathlib.Path, workdir: pathlib.Path, *more: str) -> list[str]:
  return [
      sys.executable,
      "-m",
      "mla_jax.main",
      f"--config=configs/{config}",
      f"--workdir={workdir}",
      f"--config.data.dir={data}",
      "--config.data.dev_fraction=0.3",
      f"--config.model.video.feature_width={tiny.FEATURES}",
      *more,
  ]


def environment(devices: int = 2) -> dict[str, str]:
  """Of a process with so many devices: two are enough to shard, and compiled sooner than eight."""
  flags = os.environ["XLA_FLAGS"].replace("device_count=8", f"device_count={devices}")
  return os.environ | {"XLA_FLAGS": flags}


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
      arguments, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False
  )


def evaluation(workdir: pathlib.Path, *more: str) -> list[str]:
  return [sys.executable, "-m", "mla_jax.main", "--mode=eval", f"--workdir={workdir}", *more]


def last_line(found: subprocess.CompletedProcess[str]) -> dict[str, Any]:
  assert found.returncode == 0, found.stderr[-3000:]
  return json.loads(found.stdout.splitlines()[-1])


def checkpoint_arrays(workdir: pathlib.Path, step: int) -> dict[str, np.ndarray]:
  """Every leaf of a checkpoint, read without this package's own code."""
  folder = workdir.absolute() / "checkpoints" / str(step) / "state"
  tree = ocp.StandardCheckpointer().restore(folder)

  return {
      jax.tree_util.keystr(path): np.asarray(leaf)
      for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def kill_after_checkpoint(arguments: list[str], checkpoint: pathlib.Path) -> None:
  process = subprocess.Popen(
      arguments,
      cwd=ROOT,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      env=environment(),
  )
  wait_for(checkpoint.exists)
  os.kill(process.pid, signal.SIGKILL)
  process.wait()


def wait_for(condition: Callable[[], object], seconds: float = 900.0) -> None:
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, "timed out"
    time.sleep(0.02)
