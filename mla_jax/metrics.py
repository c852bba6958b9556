"""Metrics: summed on the device, written to metrics.jsonl, TensorBoard and the terminal."""

from collections.abc import Iterable, Mapping
import json
import math
import os
import pathlib
import sys
import time
from typing import IO, Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from mla_jax import processes
from mla_jax.errors import UserError

Sums = Mapping[str, tuple[Any, Any]]  # Name -> (sum, weight), scalars.


def reduce_metrics(sums: Sums | Iterable[Sums]) -> dict[str, float]:
  """Means of (sum, weight) pairs: exact whatever the batches they came in.

  Args:
    sums: one mapping, or many that are added up first (in float64).

  Returns:
    sum / weight by name; a name of weight 0 says nothing and is left out.
  """
  totals: dict[str, np.ndarray] = {}
  for one in [sums] if isinstance(sums, Mapping) else sums:
    for name, pair in one.items():
      totals[name] = totals.get(name, np.zeros(2)) + np.array([float(part) for part in pair])
  return {name: float(total / weight) for name, (total, weight) in totals.items() if weight != 0}


@jax.jit
def _add(
    running: dict[str, Any], bad_step: jax.Array, new: dict[str, Any], step: jax.Array
) -> tuple[dict[str, Any], jax.Array]:
  bad = jnp.any(jnp.stack([~jnp.isfinite(total) for total, _ in new.values()]))
  added = jax.tree.map(lambda old, one: old + jnp.float32(one), running, new)
  return added, jnp.where((bad_step < 0) & bad, step, bad_step)


class MetricAccumulator:
  """Adds up (sum, weight) metrics on the device: nothing waits for it until they are read."""

  def __init__(self) -> None:
    self._running: dict[str, Any] | None = None
    self._bad_step: Any = np.int32(-1)

  def add(self, sums: Sums, step: int) -> None:
    """Adds one step's metrics; `step` is the number that `nonfinite_step` would name."""
    running = self._running
    if running is None:
      running = {name: (np.float32(0), np.float32(0)) for name in sums}
    self._running, self._bad_step = _add(running, self._bad_step, dict(sums), np.int32(step))

  def nonfinite_step(self) -> int | None:
    """First step with a sum that is not finite, or None. Waits for the device."""
    step = int(self._bad_step)
    return None if step < 0 else step

  def reduce(self) -> dict[str, float]:
    """Means since the last call, by `reduce_metrics`; starts anew. Waits for the device."""
    means = reduce_metrics(jax.device_get(self._running or {}))
    self._running = None
    return means


class MetricWriter:
  """Writes scalars to WORKDIR/metrics.jsonl, TensorBoard events and a line on the terminal.

  Each line of metrics.jsonl is one JSON object, {"step": 50, "time": unix seconds, name: value,
  ...}, a value that is not finite as null, written at once and whole. In a run of many processes
  only the first writes.

  Args:
    workdir: of the run; made if absent.
    total_steps: for the progress shown.
    terminal: where the lines go; defaults to standard error.

  Raises:
    UserError: `workdir` cannot be written.
  """

  def __init__(
      self,
      workdir: str | os.PathLike[str],
      total_steps: int,
      *,
      terminal: IO[str] | None = None,
  ) -> None:
    self._path = pathlib.Path(workdir) / "metrics.jsonl"
    self._total_steps = total_steps
    self._terminal = terminal
    self._active = processes.is_first()
    self._tensorboard: Any = None
    if self._active:
      from clu import metric_writers  # Imports tensorflow.

      try:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = _open_whole(self._path)
      except OSError as error:
        raise UserError(f"{self._path}: {error.strerror}: choose another --workdir") from error
      writer = metric_writers.SummaryWriter(str(self._path.parent))
      self._tensorboard = metric_writers.AsyncWriter(writer)

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *unused: object) -> None:
    self.close()

  def write(self, step: int, scalars: Mapping[str, float]) -> None:
    """Writes scalars of a step. The terminal shows those whose name has no "/".

    Raises:
      UserError: the disk is full.
    """
    if not self._active:
      return
    values = {name: float(value) for name, value in scalars.items()}
    record: dict[str, Any] = {"step": step, "time": round(time.time(), 3)}
    record |= {name: value if math.isfinite(value) else None for name, value in values.items()}
    # One call for the whole line, which a kill tears only where a page of the file ends in it.
    try:
      os.write(self._fd, _encode(record))
    except OSError as error:
      raise UserError(f"{self._path}: {error.strerror}: free space and start again") from error
    self._tensorboard.write_scalars(step, values)
    print(self._line(step, values), file=self._terminal or sys.stderr, flush=True)

  def truncate_after(self, step: int) -> None:
    """On resuming from `step`: drops the lines of later steps.

    Raises:
      UserError: a line is not a metrics record.
    """
    if not self._active:
      return
    kept = [record for record in read_metrics(self._path) if record["step"] <= step]
    temporary = self._path.with_suffix(".jsonl.tmp")
    temporary.write_bytes(b"".join(map(_encode, kept)))
    os.close(self._fd)
    os.replace(temporary, self._path)
    self._fd = _open_whole(self._path)

  def flush(self) -> None:
    """Waits until everything is on disk."""
    if self._active:
      self._tensorboard.flush()

  def close(self) -> None:
    """Flushes and closes; no writing afterwards."""
    if self._active:
      self._active = False
      self._tensorboard.close()
      os.close(self._fd)

  def _line(self, step: int, values: Mapping[str, float]) -> str:
    width = len(str(self._total_steps))
    parts = [f"step {step:{width}d}/{self._total_steps} {step / self._total_steps:4.0%}"]
    parts += [  # Of one width, so that the lines of a run stand under each other.
        f"{name} {f'{value:#.4g}':<9}" for name, value in values.items()
        if "/" not in name and name != "eta_seconds"
    ]
    if "eta_seconds" in values:
      parts.append(f"left {show_seconds(values['eta_seconds'])}")
    return "  ".join(parts).rstrip()


def _encode(record: Mapping[str, Any]) -> bytes:
  return (json.dumps(record) + "\n").encode()


def _open_whole(path: pathlib.Path) -> int:
  """Opens for appending, without a last line that a kill tore."""
  fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
  content = path.read_bytes()
  os.ftruncate(fd, content.rfind(b"\n") + 1)
  return fd


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
  """The records of a metrics.jsonl, oldest first; a torn last line is left out, no file is empty.

  Raises:
    UserError: a line before the last is not a record.
  """
  path = pathlib.Path(path)
  if not path.exists():
    return []
  records = []
  lines = path.read_bytes().split(b"\n")
  for number, line in enumerate(lines[:-1], start=1):  # What follows the last newline is torn.
    try:
      record = json.loads(line)
      int(record["step"])
    except (ValueError, KeyError, TypeError) as error:
      raise UserError(f"{path}:{number}: not a metrics record: mend or remove the line") from error
    records.append(record)
  return records


def show_seconds(seconds: float) -> str:
  """A duration to read: "2d03h", "1h02m", "3m04s", "5s"."""
  whole = round(seconds)
  minutes, secs = divmod(whole, 60)
  hours, minutes = divmod(minutes, 60)
  days, hours = divmod(hours, 24)
  if days:
    return f"{days}d{hours:02d}h"
  if hours:
    return f"{hours}h{minutes:02d}m"
  return f"{minutes}m{secs:02d}s" if minutes else f"{secs}s"
