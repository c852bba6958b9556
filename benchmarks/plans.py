"""What the pretraining configs need on v5e pods, by the planner; no TPU is needed.

    make bench-plans ARGS=--write  # Brings the TPU compiler.

Plans each config for 16, 64 and 256 chips, with the rows a chip that it has on 256. With --write
the tables of docs/scaling.md are made from them: what a step needs, and what the hardware's bound
on its time becomes with more chips.
"""

from collections.abc import Callable, Sequence
import json
import pathlib
import sys
from typing import Any

from absl import app, flags

from benchmarks import compilers
from mla_jax import code_version, config_lib

_WRITE = flags.DEFINE_boolean("write", False, "Put the tables into --page.")
_CONFIGS = flags.DEFINE_list("configs", ["pretrain_webvid", "pretrain_howto100m"], "What to plan.")
_CHIPS = flags.DEFINE_list("chips", ["256", "16", "64"], "For how many chips.")
_MISSING = flags.DEFINE_boolean("missing", False, "Plan only what --plans does not have.")
_PLANS = flags.DEFINE_string("plans", "runs/plans", "Folder of the plans.")
_PAGE = flags.DEFINE_string("page", "docs/scaling.md", "Page with the tables.")

BEGIN, END = "<!-- plans: begin -->", "<!-- plans: end -->"
TOPOLOGIES = {16: "v5e:4x4", 64: "v5e:8x8", 256: "v5e:16x16"}
_MOST = max(TOPOLOGIES)  # Chips the configs are made for.


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f"unknown arguments: {argv[1:]}")
  folder = pathlib.Path(_PLANS.value)
  for chips in map(int, _CHIPS.value):
    for name in _CONFIGS.value:
      if not (_MISSING.value and _file(folder, name, chips).exists()):
        _plan(name, chips, _file(folder, name, chips).parent)
  if _WRITE.value:
    versions = f"code {code_version.current()}, {compilers.versions()}"
    page = pathlib.Path(_PAGE.value)
    page.write_text(updated(page.read_text(), _read(folder), versions))


def _plan(name: str, chips: int, workdir: pathlib.Path) -> None:
  from mla_jax.planner import run

  config = config_lib.load_config(f"configs/{name}.py")
  for source in config.data.sources.values():
    source.rows = source.rows * chips // _MOST
  run.plan(config, TOPOLOGIES[chips], find_batch=False, workdir=workdir)


def _file(folder: pathlib.Path, name: str, chips: int) -> pathlib.Path:
  return folder / f"{name}_{chips}" / "plan.json"


def _read(folder: pathlib.Path) -> list[dict[str, Any]]:
  files = [_file(folder, name, chips) for name in _CONFIGS.value for chips in TOPOLOGIES]
  absent = [str(file.parent) for file in files if not file.exists()]
  if absent:
    sys.exit(f"error: --write: the tables need all plans, and there is no {', '.join(absent)}")
  return [json.loads(file.read_text()) for file in files]


def updated(page: str, plans: Sequence[dict[str, Any]], versions: str) -> str:
  """The page with these plans, and what made them, between its marks.

  Raises:
    SystemExit: the page has no place for them.
  """
  before, begin, rest = page.partition(BEGIN)
  _, end, after = rest.partition(END)
  if not begin or not end:
    sys.exit(f"error: {_PAGE.value}: put {BEGIN} and {END} where the tables belong")
  largest = [plan for plan in plans if plan["chips"] == _MOST]
  tables = f"{needs(largest)}\n{weak_scaling(plans)}\nCompiled: {versions}.\n"
  return f"{before}{BEGIN}\n{tables}{END}{after}"


def needs(plans: Sequence[dict[str, Any]]) -> str:
  """A table with a column a plan: memory, FLOPs, traffic."""

  def row(name: str, value: Callable[[dict[str, Any]], str]) -> str:
    return _line(name, *map(value, plans))

  def gigabytes(part: str) -> str:
    return row(f"{part}, GB", lambda plan: f"{plan['memory_per_chip'][part] / 1e9:.2f}")

  def megabytes(kind: str) -> str:
    none = {"bytes": 0}
    return row(
        f"{kind}, MB", lambda plan: f"{plan['collectives'].get(kind, none)['bytes'] / 1e6:,.0f}"
    )

  lines = [
      row("a chip, a step", lambda plan: f"`{plan['config']}`, batch {plan['rows']:,}"),
      "|---" * (len(plans) + 1) + "|",
      *map(gigabytes, ("parameters", "optimizer", "batch", "activations", "total")),
      row("share of the chip's memory", lambda plan: _percent(
          plan["memory_per_chip"]["total"], plan["capacity_per_chip"])),
      row("model TFLOPs", lambda plan: f"{plan['model_flops'] / plan['chips'] / 1e12:.2f}"),
      *map(megabytes, sorted({kind for plan in plans for kind in plan["collectives"]})),
      row("all collectives / the least possible", lambda plan: (
          f"{plan['collective_bytes'] / plan['collective_bytes_at_least']:.2f}")),
  ]
  return "\n".join([*lines, ""])


def weak_scaling(plans: Sequence[dict[str, Any]]) -> str:
  """A table with a row a plan: what bounds the time of a step."""
  head = ("config", "chips", "batch", "compute, ms", "memory, ms", "links, ms", "largest / compute")
  lines = [_line(*head), "|---" * len(head) + "|"]
  for plan in plans:
    bound = plan["seconds_at_least"]
    times = [f"{1e3 * bound[name]:.1f}" for name in ("compute", "memory", "links")]
    worst = max(bound.values()) / bound["compute"]
    lines.append(_line(plan["config"], plan["chips"], f"{plan['rows']:,}", *times, f"{worst:.2f}"))
  return "\n".join([*lines, ""])


def _percent(part: float, whole: float) -> str:
  return f"{100 * part / whole:.0f} %"


def _line(*cells: object) -> str:
  return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
  app.run(main)
