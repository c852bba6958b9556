"""The tables of docs/scaling.md from the planner's plans, which one version has made."""

from collections.abc import Callable, Iterable, Sequence
import json
import pathlib
import sys
from typing import Any

from benchmarks import made_by, marked


def updated(page: pathlib.Path, files: Sequence[pathlib.Path]) -> str:
  """The page's text with the tables of these plans, and what made them, between its marks.

  Raises:
    SystemExit: there is no such plan, they are of several versions, or the page has no place.
  """
  plans = _read(files)
  before, _, after = marked.parts(page.read_text(), "plans")
  most = max(plan["chips"] for plan in plans)
  largest = [plan for plan in plans if plan["chips"] == most]
  tables = f"{needs(largest)}\n{weak_scaling(plans)}\nCompiled: {_made(plans[0])}.\n"
  return f"{before}{tables}{after}"


def check_one_version(files: Iterable[pathlib.Path], now: dict[str, Any] | None = None) -> None:
  """Raises SystemExit unless the same, which is known, made all plans, and is to make others."""
  found = {_made(now): ["what this run plans"]} if now else {}
  for file in files:
    found.setdefault(_made(json.loads(file.read_text())), []).append(str(file.parent))
  if len(found) > 1 or made_by.NOT_RECORDED in found:
    several = "; ".join(f"{', '.join(names)}: by {version}" for version, names in found.items())
    sys.exit(
        f"error: --write: the tables need plans of one version of code and compilers: {several}: "
        "plan all anew: make bench-plans ARGS=--write"
    )


def _read(files: Sequence[pathlib.Path]) -> list[dict[str, Any]]:
  absent = [str(file.parent) for file in files if not file.exists()]
  if absent:
    sys.exit(f"error: --write: the tables need all plans, and there is no {', '.join(absent)}")
  check_one_version(files)
  return [json.loads(file.read_text()) for file in files]


def _made(plan: dict[str, Any]) -> str:
  if "code_version" not in plan:
    return made_by.NOT_RECORDED
  return made_by.line(plan["code_version"], plan["compilers"])


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
