import io
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import pytest

from mla_jax import metrics, sharding
from mla_jax.errors import UserError
from mla_jax.metrics import MetricAccumulator, MetricWriter

_PAIR = st.tuples(st.floats(-1e3, 1e3), st.integers(0, 50).map(float))


@given(st.lists(st.dictionaries(st.sampled_from("abc"), _PAIR)))
def test_reduce_is_the_weighted_mean(parts: list[dict[str, tuple[float, float]]]) -> None:
  found = metrics.reduce_metrics(parts)
  for name in "abc":
    total = math.fsum(part[name][0] for part in parts if name in part)
    weight = sum(part[name][1] for part in parts if name in part)
    if weight:
      assert found[name] == pytest.approx(total / weight, rel=1e-9, abs=1e-9)
    else:
      assert name not in found


def test_reduce_takes_one_mapping_too() -> None:
  assert metrics.reduce_metrics({"a": (jnp.float32(6), np.float64(4)), "b": (1, 0)}) == {"a": 1.5}


def test_accumulator_equals_reduce_and_starts_anew() -> None:
  rng = np.random.default_rng(0)
  sums = MetricAccumulator()
  for window in range(2):
    parts = []
    for step in range(7):
      value, weight = rng.normal(), float(rng.integers(0, 5))
      part = {"loss": (value * weight, weight), "norm": (value, 1.0), "never": (0.0, 0.0)}
      parts.append(part)
      sums.add({k: tuple(map(jnp.float32, pair)) for k, pair in part.items()}, 7 * window + step)
    expected = metrics.reduce_metrics(parts)
    assert "never" not in expected
    assert sums.reduce() == pytest.approx(expected, rel=1e-5)
  assert sums.reduce() == {}
  assert sums.nonfinite_step() is None


def test_adding_reads_no_value() -> None:

  def add(value: jax.Array) -> Any:
    sums = MetricAccumulator()
    for step in range(3):
      sums.add({"loss": (value, value)}, step)
    return sums._running

  # Under tracing there are no values: reading one is an error.
  assert jax.eval_shape(add, jnp.float32(2))["loss"][0].shape == ()


def test_accumulator_adds_what_lives_on_many_devices() -> None:
  sums = MetricAccumulator()
  mesh = sharding.make_mesh(ConfigDict({"data": -1, "fsdp": 1}))
  value = jax.device_put(jnp.float32(2), sharding.replicated(mesh))
  for step in range(3):
    sums.add({"loss": (value, value)}, step)
  assert sums.reduce() == {"loss": 1.0}


def test_accumulator_names_the_first_step_that_is_not_finite() -> None:
  sums = MetricAccumulator()
  for step, value in enumerate([1.0, 2.0, math.nan, 3.0, math.inf]):
    sums.add({"good": (jnp.float32(1), jnp.float32(1)), "loss": (jnp.float32(value), 1.0)}, step)
  assert sums.nonfinite_step() == 2
  assert math.isnan(sums.reduce()["loss"])
  assert sums.nonfinite_step() == 2


def _lines(workdir: pathlib.Path) -> list[dict[str, object]]:
  return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_writer_writes_lines_events_and_progress(tmp_path: pathlib.Path) -> None:
  from tensorboard.backend.event_processing import event_accumulator
  from tensorboard.util import tensor_util

  terminal = io.StringIO()
  with MetricWriter(tmp_path / "new", 1000, terminal=terminal) as writer:
    writer.write(50, {"loss": 1.5, "loss/part": 0.25, "eta_seconds": 3700.0})
    assert _lines(tmp_path / "new")[0]["loss"] == 1.5  # On disk before anything is closed.
    writer.write(1000, {"loss": jnp.float32(math.nan), "norm": math.inf})
    writer.write(1000, {"loss": -1.2345e-05, "eta_seconds": 0.0})
  first, second, _ = _lines(tmp_path / "new")
  assert first.pop("time") == pytest.approx(time.time(), abs=60)
  assert first == {"step": 50, "loss": 1.5, "loss/part": 0.25, "eta_seconds": 3700.0}
  assert (second["loss"], second["norm"]) == (None, None)
  shown = terminal.getvalue().splitlines()
  assert shown[0] == "step   50/1000   5%  loss 1.500      left 1h01m"
  assert shown[1] == "step 1000/1000 100%  loss nan        norm inf"
  assert shown[2] == "step 1000/1000 100%  loss -1.234e-05  left 0s"
  events = event_accumulator.EventAccumulator(str(tmp_path / "new"))
  events.Reload()
  assert [event.step for event in events.Tensors("loss")] == [50, 1000, 1000]
  parts = events.Tensors("loss/part")
  assert [tensor_util.make_ndarray(event.tensor_proto) for event in parts] == [0.25]


def test_resume_drops_later_and_torn_lines(tmp_path: pathlib.Path) -> None:
  with MetricWriter(tmp_path, 100, terminal=io.StringIO()) as writer:
    for step in (10, 20, 30):
      writer.write(step, {"loss": float(step)})
  path = tmp_path / "metrics.jsonl"
  path.write_bytes(path.read_bytes() + b'{"step": 40, "lo')
  assert [record["step"] for record in metrics.read_metrics(path)] == [10, 20, 30]
  with MetricWriter(tmp_path, 100, terminal=io.StringIO()) as writer:
    assert path.read_bytes().endswith(b"}\n")
    writer.truncate_after(20)
    writer.write(30, {"loss": 31.0})
  assert [(line["step"], line["loss"]) for line in _lines(tmp_path)] == [
      (10, 10.0), (20, 20.0), (30, 31.0),
  ]
  assert not list(tmp_path.glob("*.tmp"))


@given(data=st.data())
def test_any_torn_file_is_read_up_to_the_tear(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
  records = [{"step": step, "loss": step / 3} for step in range(4)]
  content = b"".join(json.dumps(record).encode() + b"\n" for record in records)
  cut = data.draw(st.integers(0, len(content)))
  path = tmp_path_factory.getbasetemp() / "torn.jsonl"
  path.write_bytes(content[:cut])
  assert metrics.read_metrics(path) == records[: content[:cut].count(b"\n")]


def test_a_foreign_line_is_named(tmp_path: pathlib.Path) -> None:
  path = tmp_path / "metrics.jsonl"
  assert metrics.read_metrics(path) == []
  path.write_text('{"step": 1}\nloss=3\n{"step": 2}\n')
  with pytest.raises(UserError, match=r"metrics.jsonl:2: not a metrics record"):
    metrics.read_metrics(path)


def test_workdir_that_is_a_file(tmp_path: pathlib.Path) -> None:
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match="choose another --workdir"):
    MetricWriter(tmp_path / "file", 10)


def test_importing_loads_neither_tensorflow_nor_clu() -> None:
  program = """
      import sys
      from mla_jax import metrics, optimizers, sharding, signals, timing, train_state
      print([name for name in ("tensorflow", "clu", "tensorboard") if name in sys.modules])
  """
  done = subprocess.run(
      [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == "[]"


def test_a_killed_writer_leaves_lines_to_go_on_from(tmp_path: pathlib.Path) -> None:
  # The writing alone, without the import of tensorflow: many kills in little time.
  program = """
      import os, pathlib, sys
      from mla_jax import metrics
      fd = metrics._open_whole(pathlib.Path(sys.argv[1]))
      step = 0
      while True:
        step += 1
        os.write(fd, metrics._encode({"step": step, "text": "x" * 3000}))
        if step == 100: print("ready", flush=True)
  """
  path = tmp_path / "metrics.jsonl"
  for _ in range(2):
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(path)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    steps = [record["step"] for record in metrics.read_metrics(path)]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) >= 100
    fd = metrics._open_whole(path)  # Without the line that the kill may have torn.
    os.write(fd, metrics._encode({"step": 0}))
    os.close(fd)
    assert [record["step"] for record in metrics.read_metrics(path)] == [*steps, 0]
    path.unlink()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59.6, "1m00s"), (184, "3m04s"), (3720, "1h02m"), (183600, "2d03h")],
)
def test_durations_read_well(seconds: float, shown: str) -> None:
  assert metrics.show_seconds(seconds) == shown
