from types import SimpleNamespace

import numpy as np
import pytest

from mla_jax import config_lib, flops, timing
from mla_jax.timing import StepClock


class _Now:
  """A clock that tests set."""

  def __init__(self) -> None:
    self.time = 100.0

  def __call__(self) -> float:
    return self.time


class _Result:
  """What the device makes: there or not."""

  def __init__(self, ready: bool) -> None:
    self.ready = ready

  def is_ready(self) -> bool:
    return self.ready


def _step(
    clock: StepClock,
    now: _Now,
    wait: float,
    work: float,
    idle: bool = True,
    compiles: float = 0.0,
) -> None:
  with clock.waiting(_Result(idle)):
    now.time += wait
  with clock.dispatching():
    now.time += compiles
  now.time += work


def test_lap_measures_time_wait_and_rate() -> None:
  now = _Now()
  clock = StepClock({"examples_per_second": 32, "model_flops_utilisation": 1.5}, 100, now=now)
  now.time += 1000  # Building the model, before the start.
  clock.start(0)
  for _ in range(4):
    _step(clock, now, wait=0.5, work=1.5)
  assert clock.lap(4) == pytest.approx({
      "step_time": 2.0, "examples_per_second": 16.0, "model_flops_utilisation": 0.75,
      "input_wait_share": 0.25, "eta_seconds": 96 * 2.0, "compile_seconds": 0.0,
  })


def test_a_fetch_while_the_device_is_busy_is_no_wait() -> None:
  now = _Now()
  clock = StepClock({}, 10, now=now)
  clock.start(0)
  _step(clock, now, wait=3.0, work=1.0, idle=False)
  _step(clock, now, wait=1.0, work=5.0)
  assert clock.lap(2)["input_wait_share"] == pytest.approx(0.1)


def test_pauses_count_only_in_the_time_left() -> None:
  now = _Now()
  clock = StepClock({}, 30, now=now)
  clock.start(10)
  _step(clock, now, wait=0.0, work=50.0)  # Slower than all others.
  assert clock.lap(11)["step_time"] == 50.0
  for _ in range(4):
    _step(clock, now, wait=0.0, work=1.0)
  with clock.paused():
    now.time += 4.0
  found = clock.lap(15)
  assert found["step_time"] == 1.0
  assert found["input_wait_share"] == 0.0
  assert found["eta_seconds"] == 15 * 2.0  # As many pauses are to come.
  _step(clock, now, wait=1.0, work=0.0)
  assert clock.lap(16)["input_wait_share"] == 1.0  # The earlier pause is not counted again.


def test_the_first_call_compiles_and_is_told_once() -> None:
  now = _Now()
  clock = StepClock({"examples_per_second": 8}, 100, now=now)
  clock.start(10)
  _step(clock, now, wait=1.0, work=1.0, compiles=60.0)
  _step(clock, now, wait=1.0, work=1.0)
  assert clock.lap(12) == {
      "step_time": 2.0, "examples_per_second": 4.0, "input_wait_share": 0.5,
      "eta_seconds": 88 * 2.0, "compile_seconds": 60.0,
  }
  _step(clock, now, wait=0.0, work=1.0, compiles=2.0)  # Later calls wait for the device.
  found = clock.lap(13)
  assert found["step_time"] == 3.0
  assert "compile_seconds" not in found


def test_a_lap_without_a_step_says_nothing() -> None:
  clock = StepClock({}, 10)
  clock.start(5)
  assert clock.lap(5) == {}


def test_a_pause_ends_with_its_error() -> None:
  now = _Now()
  clock = StepClock({}, 10, now=now)

  def fail() -> None:
    with clock.paused():
      now.time += 5.0
      raise ValueError

  with pytest.raises(ValueError):  # noqa: PT011
    fail()
  now.time += 1.0
  assert clock.lap(1)["step_time"] == 1.0


def test_past_the_end_nothing_is_left() -> None:
  now = _Now()
  clock = StepClock({}, 2, now=now)
  now.time += 1.0
  assert clock.lap(3)["eta_seconds"] == 0.0


@pytest.mark.parametrize(
    ("kind", "peak"), [("TPU v5 lite", 197e12), ("NVIDIA H100 80GB HBM3", 989e12), ("cpu", None)]
)
def test_the_work_of_a_step(kind: str, peak: float | None) -> None:
  devices = np.array([SimpleNamespace(device_kind=kind)] * 4).reshape(2, 2)
  mesh = SimpleNamespace(devices=devices, size=4)
  config = config_lib.load_config("configs/msrvtt_mini_retrieval.py", {"data.num_frames": 12})
  work = timing.step_work(config, 64, mesh)
  share = work.pop("model_flops_utilisation", None)
  assert work == {"examples_per_second": 64, "frames_per_second": 64 * 12}
  if peak is None:
    assert share is None
  else:
    assert share == pytest.approx(sum(flops.train_step_flops(config, 64).values()) / 4 / peak)
  blind = config_lib.apply_overrides(config, {"model.use_video": False})
  assert "frames_per_second" not in timing.step_work(blind, 64, mesh)


def test_memory_grows_with_what_is_held() -> None:
  before = timing.memory()["host_rss_bytes"]
  held = bytearray(b"x" * (64 * 2**20))
  after = timing.memory()["host_rss_bytes"]
  assert after - before > 0.8 * len(held)
  assert before > 2**20


def test_device_memory_is_the_fullest_devices(monkeypatch: pytest.MonkeyPatch) -> None:

  class Device:

    def __init__(self, stats: dict[str, int] | None) -> None:
      self._stats = stats

    def memory_stats(self) -> dict[str, int] | None:
      return self._stats

  devices = [Device({"bytes_in_use": 3, "peak_bytes_in_use": 9}), Device({"bytes_in_use": 5})]
  monkeypatch.setattr(timing.jax, "local_devices", lambda: devices)
  found = timing.memory()
  assert (found["device_bytes"], found["device_peak_bytes"]) == (5.0, 9.0)
  monkeypatch.setattr(timing.jax, "local_devices", lambda: [Device(None)])
  assert set(timing.memory()) == {"host_rss_bytes"}
