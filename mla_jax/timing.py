"""Where the time and the memory of a run go."""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import os
import resource
import sys
import time
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mla_jax import flops
from mla_jax.planner import topology


def step_work(config: ConfigDict, rows: int, mesh: Mesh) -> dict[str, float]:
  """What a step does, by the name of its rate.

  Args:
    config: of the run.
    rows: of the global batch.
    mesh: of the run.

  Returns:
    "examples_per_second": the rows. "frames_per_second": `data.num_frames` a row, to which shorter
    clips are padded; of a model with video. "model_flops_utilisation": the seconds that the model's
    FLOPs (flops.py) take at the devices' bfloat16 peak; where that is known.
  """
  work = {"examples_per_second": float(rows)}
  if config.model.use_video:
    work["frames_per_second"] = float(rows * config.data.num_frames)
  peak = topology.peak_flops(mesh.devices.flat[0].device_kind)
  if peak is not None:
    total = sum(flops.train_step_flops(config, rows).values())
    work["model_flops_utilisation"] = total / (mesh.size * peak)
  return work


class StepClock:
  """Times training steps at the logging interval, without the pauses for evaluation and saving.

  Nor does the compilation count, which has a number of its own. The first lap is slow without it
  too, so the time left is estimated without that lap as soon as there is a second one; pauses count
  in that estimate, as they will come again.

  A step only counts when the device has done it: call `lap` after reading the step's metrics.

  Args:
    work: name of a rate -> what a step does of it (`step_work`).
    total_steps: of the whole run.
    now: clock in seconds.
  """

  def __init__(
      self,
      work: Mapping[str, float],
      total_steps: int,
      now: Callable[[], float] = time.perf_counter,
  ) -> None:
    self._work = work
    self._total_steps = total_steps
    self._now = now
    self._compiled: float | None = None  # Seconds.
    self._after_first: tuple[float, int] | None = None  # Time and step where the first lap ended.
    self.start(0)

  def start(self, step: int) -> None:
    """Starts the first lap; `step` is the number of updates done before it."""
    self._lap_step, self._lap_time = step, self._now()
    self._waited = self._paused = 0.0

  @contextlib.contextmanager
  def waiting(self, last: Any) -> Iterator[None]:
    """Around the fetch of the next batch; `last` is an array that the step before it makes.

    Steps are dispatched ahead of the device. A fetch counts as a wait if the device has nothing
    left to do at its end; it may have gone idle in the course of the fetch, so this is at most too
    much.
    """
    begin = self._now()
    try:
      yield
    finally:
      if last.is_ready():
        self._waited += self._now() - begin

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Around what is not training: evaluating, saving."""
    begin = self._now()
    try:
      yield
    finally:
      self._paused += self._now() - begin

  @contextlib.contextmanager
  def dispatching(self) -> Iterator[None]:
    """Around the calls of a step's programs, of which the first return when these are compiled."""
    begin = self._now()
    yield
    if self._compiled is None:
      self._compiled = self._now() - begin
      self._paused += self._compiled

  def lap(self, step: int) -> dict[str, float]:
    """Ends a lap after `step` updates in all.

    Returns:
      "step_time" (s), the rates, "input_wait_share" (0..1 of the step time), "eta_seconds" and, in
      the first lap, "compile_seconds"; empty when no step was done since the last lap.
    """
    steps = step - self._lap_step
    if steps <= 0:
      return {}
    now = self._now()
    active = max(now - self._lap_time - self._paused, 1e-9)
    step_time = active / steps
    per_step, once = step_time, {}
    if self._after_first is None:
      self._after_first = now, step
      once = {} if self._compiled is None else {"compile_seconds": self._compiled}
    else:
      begin_time, begin_step = self._after_first
      per_step = (now - begin_time) / (step - begin_step)
    result = {
        "step_time": step_time,
        **{name: amount / step_time for name, amount in self._work.items()},
        "input_wait_share": min(self._waited / active, 1.0),
        "eta_seconds": max(self._total_steps - step, 0) * per_step,
        **once,
    }
    self._lap_step, self._lap_time = step, now
    self._waited = self._paused = 0.0
    return result


def memory() -> dict[str, float]:
  """Memory in bytes: "host_rss" of this process, and the fullest local device's in use and peak.

  The device's keys are missing where the backend does not tell (CPU).
  """
  result = {"host_rss_bytes": float(_host_rss())}
  stats = [found for device in jax.local_devices() if (found := device.memory_stats())]
  for key, name in (("bytes_in_use", "device_bytes"), ("peak_bytes_in_use", "device_peak_bytes")):
    values = [found[key] for found in stats if key in found]
    if values:
      result[name] = float(max(values))
  return result


def _host_rss() -> int:
  try:
    with open("/proc/self/statm", encoding="ascii") as file:
      return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
  except OSError:
    # No /proc (macOS): the highest so far, in bytes there and in KiB elsewhere.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
