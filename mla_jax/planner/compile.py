"""Compiles a run's step for a target and reads memory, FLOPs and traffic off it; runs nothing."""

from collections.abc import Callable, Mapping, Set
import dataclasses
import re
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mla_jax import flops, sharding, train_step
from mla_jax.data import batch_spec, sources
from mla_jax.errors import UserError
from mla_jax.models.build import build_model
from mla_jax.planner import hlo
from mla_jax.planner.topology import Target
from mla_jax.sharding_lint import leaf_bytes
from mla_jax.tasks.base import Task
from mla_jax.tasks.registry import make_task


@dataclasses.dataclass(frozen=True)
class Memory:
  """Bytes on one chip. `total` is what the compiler asks for, whether or not that is there."""

  parameters: int
  optimizer: int
  average: int
  batch: int
  activations: int  # And all else that lives within a step: gradients, buffers of collectives.
  program: int
  total: int


@dataclasses.dataclass(frozen=True)
class Compiled:
  """A step, compiled.

  Attributes:
    rows: of the global batch.
    memory: None where the compiler gave up.
    refused: why it did, e.g. more memory than the chip has; empty else.
    flops: of the model, for a step on all chips, by part.
    collectives: of a step.
    least_bytes: that collectives must move on a chip in a step, see `least_collective_bytes`.
    findings: of the sharding lint.
    parameter_bytes: of the largest parameter, whole.
  """

  rows: int
  memory: Memory | None
  refused: str
  flops: flops.Count
  collectives: list[hlo.Collective]
  least_bytes: int
  findings: list[str]
  parameter_bytes: int


def compile_step(config: ConfigDict, target: Target, rows: int | None = None) -> Compiled:
  """Compiles the step as a training of this config would on the target.

  Args:
    config: of the run; of `data` only names and sizes are read.
    target: devices.
    rows: of the global batch; the config's where None.

  Raises:
    UserError: a config that no run could start with.
  """
  if rows is None:
    rows = sum(source.rows for source in config.data.sources.values())
  mesh = sharding.make_mesh(config.mesh, target.devices)
  train_step.check_rows(rows, config, mesh)
  scaling = {name: config.loss[f"init_{name}"] for name in ("temperature", "bias")}
  model = build_model(
      config.model, init_temperature=scaling["temperature"], init_bias=scaling["bias"]
  )
  task = make_task(config)
  tx, _ = train_step.make_optimizer(model, config)
  abstract = train_step.abstract_state(model, config, mesh, tx)
  step = train_step.compile_step(task, model, tx, config, abstract, mesh)
  batch = abstract_batch(config, rows, task, mesh)
  compiled, refused = _compiled(step.lower(abstract, batch), target.options)
  return Compiled(
      rows=rows,
      memory=_memory(compiled, abstract, batch) if compiled else None,
      refused=refused,
      flops=flops.train_step_flops(config, rows),
      collectives=hlo.collectives(compiled.as_text()) if compiled else [],
      least_bytes=least_collective_bytes(
          config, rows, abstract.params, mesh,
          frozen=train_step.frozen_names(model, config, abstract.params),
      ),
      findings=train_step.lint(config, mesh, abstract),
      parameter_bytes=max(map(leaf_bytes, jax.tree.leaves(abstract.params))),
  )


def abstract_batch(
    config: ConfigDict, rows: int, task: Task, mesh: Mesh
) -> dict[str, jax.ShapeDtypeStruct]:
  """Shapes, types and shardings of the pipeline's global batch of so many rows."""
  where = sharding.batch_sharding(mesh)
  spec = batch_spec.train_batch(config, rows, answers=task.needs_answers, wanted=task.wanted)
  return {
      name: jax.ShapeDtypeStruct(field.shape, field.dtype, sharding=where)
      for name, field in spec.items()
  }


def least_collective_bytes(
    config: ConfigDict, rows: int, params: Any, mesh: Mesh, *, frozen: Set[str] = frozenset()
) -> int:
  """Bytes of a chip's larger side that no data-parallel step with all negatives does without.

  The gradients once, of what is trained; over `fsdp`, parameters gathered for the forward and for
  the backward pass, gradients summed to where they live, and these sums over `data`. And the
  embeddings of all texts, or of all videos where these are fewer, once past every chip. All in
  float32.

  Args:
    config: of the run.
    rows: of the global batch.
    params: of the model.
    mesh: of the run.
    frozen: paths of parameters that have no gradient.
  """
  if mesh.size == 1:
    return 0
  sizes = {name: leaf_bytes(leaf) for name, leaf in sharding.named_leaves(params).items()}
  still, fsdp = sum(sizes[name] for name in frozen), mesh.shape["fsdp"]
  moved = trained = sum(sizes.values()) - still
  if fsdp > 1:  # What is frozen is gathered once: it may have no backward pass.
    moved = still + 3 * trained + trained // fsdp * (mesh.shape["data"] > 1)
  loss, data = config.loss, config.data
  levels = bool(loss.global_weight), bool(loss.segment_weight)
  text, video = (
      levels[0] + levels[1] * segments for segments in (data.text_segments, data.video_segments)
  )
  vectors = rows * config.model.use_video * min(sources.slots(data) * text, video)
  return moved + 4 * vectors * config.model.embed_dim


class Rows(NamedTuple):
  """Of batches that were compiled the largest that fits and the smallest that does not; 0: none."""

  fit: int
  too_many: int


def find_rows(
    compile_rows: Callable[[int], bool], unit: int, start: int, most_compilations: int = 12
) -> Rows:
  """Looks for the most rows that fit.

  What was seen to fit and not to lie within an eighth of each other, unless the compilations did
  not suffice.

  Args:
    compile_rows: whether a batch of so many rows fits.
    unit: rows must be a multiple of it.
    start: where to begin.
    most_compilations: how often to try.
  """
  fits, too_many, units = 0, 0, max(start // unit, 1)
  for _ in range(most_compilations):
    if compile_rows(units * unit):
      fits = units
    else:
      too_many = units
    if too_many and (too_many - fits <= max(fits // 8, 1)):
      break
    units = (fits + too_many) // 2 if fits and too_many else units * 2 if fits else units // 2
    if not units:
      break
  return Rows(fits * unit, too_many * unit)


def _compiled(lowered: Any, options: Mapping[str, bool]) -> tuple[Any, str]:
  """The compiled step; or None and the compiler's words where memory does not suffice."""
  try:
    return lowered.compile(compiler_options=dict(options)), ""
  except jax.errors.JaxRuntimeError as error:
    words = str(error)
    if "RESOURCE_EXHAUSTED" not in words:
      raise UserError(f"the step does not compile: {words.splitlines()[0]}") from error
    used = re.search(r"Used [\d.]+\w? of [\d.]+\w? hbm", words)
    return None, used[0] if used else words.splitlines()[0]


def _memory(compiled: Any, abstract: Any, batch: Any) -> Memory:
  found = compiled.memory_analysis()
  live = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
  program = found.generated_code_size_in_bytes
  return Memory(
      parameters=_bytes_on_a_chip(abstract.params),
      optimizer=_bytes_on_a_chip(abstract.opt_state),
      average=_bytes_on_a_chip(abstract.ema_params),
      batch=_bytes_on_a_chip(batch),
      activations=found.temp_size_in_bytes,
      program=program,
      total=live + found.temp_size_in_bytes + program,
  )


def _bytes_on_a_chip(tree: Any) -> int:
  return sum(
      leaf_bytes(jax.ShapeDtypeStruct(leaf.sharding.shard_shape(leaf.shape), leaf.dtype))
      for leaf in jax.tree.leaves(tree)
  )
