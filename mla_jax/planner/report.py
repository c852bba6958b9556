"""What a compiled step means for its chips: fits or not, how fast at best, what to look at."""

from collections import Counter
import dataclasses
from typing import Any

from mla_jax.planner import links
from mla_jax.planner.compile import Compiled, Rows
from mla_jax.planner.hlo import Collective
from mla_jax.planner.topology import Chip, Target

_SMALL = 2**20  # Bytes a step below which a resharding is not worth a line.
_ASKED_FOR = "/ppermute"  # The ring losses' own; what XLA adds to move data is no operation of jax.
_RESHARDINGS = ("all-to-all", "collective-permute", "ragged-all-to-all")


def summarise(
    compiled: Compiled, target: Target, found: Rows | None = None
) -> dict[str, Any]:
  """All that is known of a compiled step, JSON-able.

  Args:
    compiled: the step.
    target: of its chips.
    found: rows a chip that fit and do not, where they were looked for.
  """
  chips, chip = len(target.devices), target.chip
  result: dict[str, Any] = {
      "topology": target.name,
      "chips": chips,
      "rows": compiled.rows,
      "fits": fits(compiled, chip),
      "memory_per_chip": dataclasses.asdict(compiled.memory) if compiled.memory else None,
      "capacity_per_chip": int(chip.memory_bytes) if chip else None,
      "model_flops": sum(compiled.flops.values()),
      "model_flops_by_part": compiled.flops,
      "seconds_at_least": step_bounds(compiled, chip, chips) if chip else None,
      "collectives": collective_totals(compiled.collectives),
      "collective_bytes": sum(one.size * one.count for one in compiled.collectives),
      "collective_bytes_at_least": compiled.least_bytes,
      "flags": flags(compiled),
  }
  if compiled.refused:
    result["compiler"] = compiled.refused
  if found is not None:
    result["largest_batch_per_chip"] = found.fit
    result["too_large_batch_per_chip"] = found.too_many or None
  return result


def fits(compiled: Compiled, chip: Chip | None) -> bool | None:
  """Whether a chip holds the step; None where its size is not known (a CPU's)."""
  if compiled.memory is None:
    return False
  return compiled.memory.total <= chip.memory_bytes if chip else None


def step_bounds(compiled: Compiled, chip: Chip, chips: int) -> dict[str, float]:
  """Seconds that the hardware alone needs for a step: no step is faster than the largest.

  "compute": the model's FLOPs at the peak rate; "memory": parameters, their state and the batch
  read once and written back; "links": what collectives move, see links.py.
  """
  bounds = {"compute": sum(compiled.flops.values()) / chips / chip.flops}
  if compiled.memory is not None:
    memory = compiled.memory
    state = memory.parameters + memory.optimizer + memory.average
    bounds["memory"] = (2 * state + memory.batch) / chip.memory_bandwidth
    bounds["links"] = links.seconds_at_least(compiled.collectives, chip, chips)
  return bounds


def collective_totals(collectives: list[Collective]) -> dict[str, dict[str, int]]:
  """By kind: how many a step runs, and their bytes on a chip."""
  totals: dict[str, dict[str, int]] = {}
  for one in collectives:
    total = totals.setdefault(one.kind, {"count": 0, "bytes": 0})
    total["count"] += one.count
    total["bytes"] += one.size * one.count
  return dict(sorted(totals.items()))


def flags(compiled: Compiled) -> list[str]:
  """What deserves a look: the lint's findings, and resharding that is dead or expensive."""
  found = list(compiled.findings)
  dead: Counter[str] = Counter()
  costly: Counter[str] = Counter()
  for one in compiled.collectives:
    line = f"{one.kind} {one.shape} of {one.source or 'no known operation'}"
    moved = one.size * one.count
    if not one.used or one.group == 1:
      dead[line] += moved
    elif _is_costly(one, compiled.parameter_bytes):
      costly[line] += moved
    if not one.counted:
      found.append(f"{line}: in a loop of unknown length, counted once")
  found += [f"dead: {line}: nothing needs it" for line in dead]
  found += [
      f"resharding: {line}: {moved / 1e6:.1f} MB a step"
      for line, moved in costly.most_common() if moved >= _SMALL
  ]
  return found


def _is_costly(one: Collective, parameter_bytes: int) -> bool:
  """Whether it moves what nobody asked to be moved: no embedding of a ring, no parameter of FSDP.

  A stack of layers is one parameter, gathered layer by layer in a loop, for either pass and once
  more where layers are computed again.
  """
  if one.kind in _RESHARDINGS:
    return not one.source.endswith(_ASKED_FOR)
  whole = one.size > parameter_bytes or one.size * one.count > 3 * parameter_bytes
  return one.kind == "all-gather" and whole


def table(result: dict[str, Any]) -> str:
  """The summary for people."""
  rows: list[tuple[str, str]] = [
      ("topology", f"{result['topology']}, {result['chips']} chips"),
      ("batch", f"{result['rows']} rows, {result['rows'] / result['chips']:g} a chip"),
  ]
  if result["memory_per_chip"]:
    rows += [
        (f"{name} a chip", f"{size / 1e9:.3f} GB")
        for name, size in result["memory_per_chip"].items()
    ]
  if result["capacity_per_chip"]:
    rows.append(("capacity a chip", f"{result['capacity_per_chip'] / 1e9:.3f} GB"))
  said = {True: "yes", False: "no", None: "not known for this target"}[result["fits"]]
  rows.append(("fits", f"{said} {result.get('compiler', '')}".strip()))
  if "largest_batch_per_chip" in result:
    more = result["too_large_batch_per_chip"]
    beyond = f"{more} do not" if more else "more were not tried"
    rows.append(("largest batch a chip", f"{result['largest_batch_per_chip']} rows fit, {beyond}"))
  rows.append(("model FLOPs a step", f"{result['model_flops']:.3e}"))
  for name, seconds in (result["seconds_at_least"] or {}).items():
    rows.append((f"step time by {name}", f"at least {1e3 * seconds:.3f} ms"))
  for kind, total in result["collectives"].items():
    rows.append((kind, f"{total['count']} a step, {total['bytes'] / 1e6:.2f} MB a chip"))
  if result["collective_bytes_at_least"]:
    moved, least = (result[f"collective_bytes{end}"] / 1e6 for end in ("", "_at_least"))
    said = f"{moved:.2f} MB a chip, {moved / least:.2f} x the least possible, {least:.2f} MB"
    rows.append(("all collectives", said))
  rows += [("look at", flag) for flag in result["flags"]]
  width = max(len(name) for name, _ in rows)
  return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
