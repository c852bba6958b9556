"""The planned step is the trained one: same batch, same program, memory by the compiler's count."""

import importlib.util
import json
import sys
from typing import Any

import jax
import jaxlib
from ml_collections import ConfigDict
import pytest

from mla_jax import code_version, config_lib, sharding, train_step
from mla_jax import run as run_lib
from mla_jax.data import sources
from mla_jax.errors import UserError
from mla_jax.models.build import build_model
from mla_jax.planner import compile as compile_lib
from mla_jax.planner.run import plan
from mla_jax.planner.topology import Target, open_target
from tests import tiny

CPU = "configs/msrvtt_mini_retrieval.py:debug"


def _training(data: Any, workdir: Any) -> train_step.Training:
  changes = {
      "data.dir": str(data),
      "data.dev_fraction": 0.2,
      "model.video.feature_width": tiny.FEATURES,
  }
  config = config_lib.load_config(CPU, changes)
  workdir.mkdir()
  run_lib.start_workdir(config, workdir)
  run = run_lib.open_run(config, workdir)
  drawn = sources.open_sources(config.data, with_video=config.model.use_video)
  return train_step.make_training(run, drawn)


def test_nothing_is_compiled_twice(tmp_path) -> None:
  """What the planner compiles takes the real state and batch; and so it is at the next step."""
  training = _training(tiny.prepare(tmp_path), tmp_path / "run")
  run = training.run
  planned = compile_lib.abstract_batch(run.config, training.rows, run.task, run.mesh)
  compiled = training.step.lower(training.abstract, planned).compile()
  state = train_step.new_state(run.model, run.config, run.mesh, training.tx)
  for batch in training.batches(range(2)):
    state, _ = compiled(state, batch)  # Raises on another shape, type or sharding.
  assert int(state.step) == 2


def test_memory_is_the_compilers_and_falls_with_fsdp() -> None:
  def memory(**mesh: int) -> compile_lib.Memory:
    changes = {f"mesh.{axis}": size for axis, size in mesh.items()} | {"sharding.min_size": 0}
    config = config_lib.load_config(CPU, changes)
    return compile_lib.compile_step(config, Target("cpu:8", jax.devices(), None)).memory

  whole, split = memory(data=-1, fsdp=1), memory(data=1, fsdp=-1)
  for name in ("parameters", "optimizer", "average"):
    assert getattr(split, name) < 0.2 * getattr(whole, name)
  assert split.batch == whole.batch
  for found in (whole, split):
    held = found.parameters + found.optimizer + found.average + found.batch
    assert found.total >= held + found.activations


def test_a_ring_of_one_device_is_one_line() -> None:
  def told(lines: list[str]) -> int:
    return sum("loss.impl='ring': goes round one device" in line for line in lines)

  for devices, impl, lines in ((1, "ring", 1), (1, "dense", 0), (2, "ring", 0)):
    config = config_lib.load_config(CPU, {"loss.impl": impl, "mesh.data": devices})
    mesh = sharding.make_mesh(config.mesh, jax.devices()[:devices])
    model = build_model(config.model)
    tx, _ = train_step.make_optimizer(model, config)
    abstract = train_step.abstract_state(model, config, mesh, tx)
    assert told(train_step.lint(config, mesh, abstract)) == lines
  config = config_lib.load_config(CPU, {"loss.impl": "ring", "mesh.data": 1})
  target = Target("cpu:1", jax.devices()[:1], None)
  assert told(compile_lib.compile_step(config, target).findings) == 1


@pytest.mark.parametrize("most", [0, 1, 5, 8, 9, 37, 1000])
@pytest.mark.parametrize("start", [4, 64, 4000])
def test_the_largest_batch_is_found_to_within_an_eighth(most: int, start: int) -> None:
  tried = []

  def fits(rows: int) -> bool:
    tried.append(rows)
    assert rows % 4 == 0
    return rows <= 4 * most

  found = compile_lib.find_rows(fits, 4, start, most_compilations=20)
  assert len(tried) == len(set(tried))
  assert 4 * most * 7 / 8 - 4 <= found.fit <= 4 * most < found.too_many
  assert found.fit in (0, *tried) and found.too_many in tried


def test_the_least_that_collectives_move() -> None:
  """By hand: 1,000 parameters, 100 frozen; 64 texts of one global and 4 segment embeddings of 32.

  Of four texts a video it is the videos that move, with their 8 segments.
  """
  params = {
      "kernel": jax.ShapeDtypeStruct((10, 100), "float32"),
      "still": jax.ShapeDtypeStruct((10, 10), "float32"),
  }

  def least(
      data: int, fsdp: int, captions: int = 1, frozen: tuple[str, ...] = ("still",),
      **changes: float,
  ) -> int:
    losses = {f"loss.{key}": value for key, value in changes.items()}
    segments = {"data.text_segments": 4, "data.video_segments": 8}
    config = config_lib.load_config(CPU, {"data.captions": captions} | segments | losses)
    axes = ConfigDict({"data": data, "fsdp": fsdp})
    mesh = sharding.make_mesh(axes, jax.devices()[: data * fsdp])
    return compile_lib.least_collective_bytes(config, 64, params, mesh, frozen=set(frozen))

  assert least(1, 1) == 0
  assert least(8, 1) == 4000 + 64 * 5 * 32 * 4
  assert least(8, 1, captions=4) == 4000 + 64 * 9 * 32 * 4
  assert least(8, 1, segment_weight=0.0) == 4000 + 64 * 32 * 4
  off = {"segment_weight": 0.0, "global_weight": 0.0}
  assert least(8, 1, frozen=(), **off) == 4400
  assert least(1, 8, **off) == 3 * 4000 + 400
  assert least(2, 4, **off) == 3 * 4000 + 400 + 1000


@pytest.mark.parametrize(
    "name",
    ["v5e", "v9:2x2", "cpu:0", "cpu:x", "", "gpu", "tpu:2x2", "h100", "h100:0", "h100:8x0", "h9:8"],
)
def test_an_unknown_topology_is_named(name: str) -> None:
  with pytest.raises(UserError, match="--topology"):
    open_target(name)


def test_without_the_compiler_for_tpus_it_is_named(monkeypatch) -> None:
  monkeypatch.setitem(sys.modules, "libtpu", None)  # As if it were not installed, if it is.
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(UserError, match=r"--topology=v5e:2x2: needs libtpu.*mla_jax\[aot\]"):
    open_target("v5e:2x2")
  with pytest.raises(UserError, match=r"--topology=h100:8: needs jax_cuda12_plugin.*--no-deps jax"):
    open_target("h100:8")


def test_a_batch_that_does_not_divide_over_the_target_is_named() -> None:
  config = config_lib.load_config(CPU)
  with pytest.raises(UserError, match="12 rows"):
    compile_lib.compile_step(config, Target("cpu:8", jax.devices(), None), rows=12)


def test_a_mesh_that_does_not_fit_the_target_is_named() -> None:
  config = config_lib.load_config(CPU, {"mesh.data": 3, "mesh.fsdp": 1})
  with pytest.raises(UserError, match=r"mesh\.data=3 .* 8 devices"):
    compile_lib.compile_step(config, Target("cpu:8", jax.devices(), None))


@pytest.mark.parametrize("folder", [None, "nowhere"])
def test_a_plan_reads_no_data(folder, tmp_path, capsys) -> None:
  config = config_lib.load_config(CPU, {"data.dir": folder and str(tmp_path / folder)})
  result = plan(config, "cpu:8", find_batch=False, workdir=tmp_path)
  assert json.loads((tmp_path / "plan.json").read_text()) == result
  assert result["fits"] is None and result["collectives"]
  assert result["code_version"] == code_version.current("mla_jax", "configs")
  assert result["compilers"] == {"jax": jax.__version__, "jaxlib": jaxlib.__version__}
  assert "model FLOPs a step" in capsys.readouterr().out


def test_no_batch_is_looked_for_where_the_memory_is_not_known() -> None:
  with pytest.raises(UserError, match=r"--find_batch: the memory of 'cpu:4' is not known"):
    plan(config_lib.load_config(CPU), "cpu:4", find_batch=True)
