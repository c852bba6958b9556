"""What `main` runs, once this process has joined the others: a training, or an evaluation."""

from collections.abc import Mapping
import pathlib
from typing import Any

from mla_jax import agreement, config_lib, devices, eval_lib, processes, signals, train_lib
from mla_jax import run as run_lib


def train_and_evaluate(
    config_path: str | None, overrides: Mapping[str, Any], workdir: pathlib.Path, step: str
) -> dict[str, Any] | None:
  """What the evaluation of `step` found; None after a training that was stopped."""
  devices.prepare()
  run = train_lib.train(config_lib.load_config(config_path, overrides), workdir)
  if run is None:
    processes.wait_for_all("stop")  # Who leaves says no more that it lives.
    return None
  return _evaluate(run, step)


def evaluate(
    config_path: str | None, overrides: Mapping[str, Any], workdir: pathlib.Path, step: str
) -> dict[str, Any]:
  """What the evaluation of a run's checkpoint found: "best", "latest" or a number."""
  devices.prepare()
  config = eval_lib.load_config(workdir, config_path, overrides)
  agreement.check_same(config, training=False)
  return _evaluate(run_lib.open_run(config, workdir), step)


def _evaluate(run: run_lib.Run, step: str) -> dict[str, Any]:
  with signals.ending_at_once():
    result = eval_lib.evaluate(run, step)
    processes.wait_for_all("end")  # The first has more to write: should that fail, all fail.
  return result
