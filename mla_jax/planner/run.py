"""The planner's command: a config and a topology to a table and JSON. It touches no data."""

import functools
import json
import pathlib
from typing import Any

from ml_collections import ConfigDict

from mla_jax import code_version
from mla_jax.errors import UserError
from mla_jax.planner import compile as compile_lib
from mla_jax.planner import report
from mla_jax.planner.compile import Compiled, Rows
from mla_jax.planner.topology import Target, compilers, open_target


def plan(
    config: ConfigDict, topology: str, *, find_batch: bool, workdir: pathlib.Path | None = None
) -> dict[str, Any]:
  """Compiles the config's step for the topology, prints the table, returns what it says.

  Args:
    config: of the run.
    topology: "v5e:16x16", "cpu:8", "h100:4x8".
    find_batch: look for the largest batch a chip as well; it compiles several times.
    workdir: where `plan.json` is written; None: nowhere.

  Raises:
    UserError: no such topology, a config that no run could start with, or a batch looked for on a
      chip of unknown memory.
  """
  target = open_target(topology)
  if find_batch and target.chip is None:
    raise UserError(
        f"--find_batch: the memory of {topology!r} is not known; leave it out, or name a TPU, e.g. "
        "--topology=v5e:2x2"
    )
  made_by = versions(topology)
  compiled = compile_lib.compile_step(config, target)
  found = _largest_batch(config, target, compiled) if find_batch else None
  result = {"config": config.name} | made_by | report.summarise(compiled, target, found)
  print(report.table(result), flush=True)
  if workdir:
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "plan.json").write_text(json.dumps(result, indent=2) + "\n")
  return result


def versions(topology: str) -> dict[str, Any]:
  """Fields of a plan that say what makes it: the code, and the compilers by package."""
  return {"code_version": _planning_code(), "compilers": compilers(topology)}


@functools.cache  # Later plans are made by the code that is loaded, whatever is there by then.
def _planning_code() -> str:
  return code_version.current("mla_jax", "configs")


def _largest_batch(config: ConfigDict, target: Target, start: Compiled) -> Rows:
  """Of a chip."""
  chips = len(target.devices)

  def fits(rows: int) -> bool:
    known = rows == start.rows
    compiled = start if known else compile_lib.compile_step(config, target, rows)
    found = bool(report.fits(compiled, target.chip))
    print(f"{rows // chips} rows a chip: {'fit' if found else 'do not fit'}", flush=True)
    return found

  unit = chips * config.train.micro_batches
  found = compile_lib.find_rows(fits, unit, start.rows)
  return Rows(found.fit // chips, found.too_many // chips)
