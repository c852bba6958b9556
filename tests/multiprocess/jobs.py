"""Jobs of real processes on this machine: started, waited for, read."""

from collections.abc import Sequence
import os
import pathlib
import socket
import subprocess
import sys

from mla_jax.metrics import read_metrics
from tests import commands, tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = ("--config.train.steps=4", "--config.train.checkpoint_every=2")
# Of a run that is ended from outside.
ENDLESS = (
    "--config.train.steps=100000",
    "--config.train.eval_every=100000",
    "--config.train.checkpoint_every=100000",
)
Ended = tuple[int, str, str]  # Exit code, standard output, standard error.


def free_port() -> int:
  with socket.socket() as probe:
    probe.bind(("localhost", 0))
    return probe.getsockname()[1]


def arguments(data: pathlib.Path | str, workdir: pathlib.Path, *more: str) -> list[str]:
  return [
      f"--config={ROOT}/configs/msrvtt_mini_retrieval.py:debug",
      f"--workdir={workdir}",
      f"--config.data.dir={data}",
      "--config.data.dev_fraction=0.3",
      f"--config.model.video.feature_width={tiny.FEATURES}",
      "--config.eval.segment_score=0.5",
      *more,
  ]


def start(
    each: Sequence[Sequence[str]],
    *,
    devices: int = 1,
    module: str = "mla_jax.main",
    folders: Sequence[pathlib.Path] = (),
) -> list[subprocess.Popen[str]]:
  """One process for each list of arguments, joined into one job if there are several.

  Each is started in its folder, if folders are given, and finds the code there first.
  """
  paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
  environment = commands.environment(devices) | {"PYTHONPATH": paths}
  coordinator = f"--coordinator=localhost:{free_port()}"
  started = []
  for number, words in enumerate(each):
    job = [coordinator, f"--num_processes={len(each)}", f"--process_id={number}"]
    started.append(
        subprocess.Popen(
            [sys.executable, "-m", module, *words, *(job if len(each) > 1 else ())],
            cwd=folders[number] if folders else ROOT,
            env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
    )
  return started


def finish(started: Sequence[subprocess.Popen[str]], timeout: float = 600) -> list[Ended]:
  found = []
  try:
    for process in started:
      out, error = process.communicate(timeout=timeout)
      found.append((process.returncode, out, error))
  finally:
    for process in started:
      process.kill()
  return found


def succeed(started: Sequence[subprocess.Popen[str]]) -> list[Ended]:
  found = finish(started)
  for code, _, error in found:
    assert code == 0, error[-3000:]
  return found


def losses(workdir: pathlib.Path) -> dict[int, float]:
  lines = read_metrics(workdir / "metrics.jsonl")
  return {line["step"]: line["loss"] for line in lines if "loss" in line}
