"""Reads collectives out of the text of an optimised HLO module."""

from collections.abc import Iterator
import dataclasses
import re

KINDS = (
    "all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute",
    "ragged-all-to-all", "collective-broadcast",
)
_BITS = {"pred": 8, "s4": 4, "u4": 4, "bf16": 16, "c64": 64, "c128": 128}

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_OPERATION = re.compile(r"(?:^|\s)([a-z][a-z0-9\-]*)\(")
_CALLED = re.compile(
    r"(?:calls|to_apply|body|condition|branch_computations)=\{?([^,}]+(?:, ?%[^,}]+)*)"
)
_ARRAY = re.compile(r"\b([a-z]+[0-9]*(?:e\d+m\d+\w*)?)\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Collective:
  """One collective of the program.

  Attributes:
    kind: one of `KINDS`.
    size: bytes of a device's larger side of it, its operand or its result.
    count: times a step runs it.
    group: devices that take part; 0 = all.
    shape: of its result, as text.
    source: the jax operation it stems from, as XLA remembers it.
    used: whether anything reads its result.
    counted: False where the number of turns of its loop is not known, and 1 was taken.
  """

  kind: str
  size: int
  count: int
  group: int
  shape: str
  source: str
  used: bool
  counted: bool


@dataclasses.dataclass(frozen=True)
class _Instruction:
  name: str
  shape: str
  operation: str
  rest: str  # From the operands on.


def collectives(text: str) -> list[Collective]:
  """Every collective of a module, as often as a step runs it; asynchronous ones once.

  Args:
    text: `compiled.as_text()`.
  """
  computations, entry = _parse(text)
  found = []
  for name, (count, counted) in _runs(computations, entry).items():
    for instruction in computations[name]:
      kind = instruction.operation.removesuffix("-start")
      if kind in KINDS:
        used = _is_used(instruction, computations[name])
        found.append(_collective(instruction, kind, count, used=used, counted=counted))
  return found


def _parse(text: str) -> tuple[dict[str, list[_Instruction]], str]:
  computations: dict[str, list[_Instruction]] = {}
  entry, current = "", ""
  for line in text.splitlines():
    if match := _COMPUTATION.match(line):
      current = match[2]
      computations[current] = []
      entry = current if match[1] else entry
    elif current and (match := _INSTRUCTION.match(line)):
      operation = _OPERATION.search(match[2])
      if operation:
        shape, rest = match[2][: operation.start()], match[2][operation.end() :]
        computations[current].append(_Instruction(match[1], shape, operation[1], rest))
  return computations, entry


def _runs(
    computations: dict[str, list[_Instruction]], entry: str
) -> dict[str, tuple[int, bool]]:
  """How often a step runs each computation that it reaches, and whether that is known."""
  runs: dict[str, tuple[int, bool]] = {}

  def visit(name: str, count: int, counted: bool) -> None:
    before, known = runs.get(name, (0, True))
    runs[name] = before + count, known and counted
    for instruction in computations.get(name, ()):
      turns = _trip_count(instruction, computations) if instruction.operation == "while" else 1
      for called in _called(instruction):
        if called in computations:
          visit(called, count * (turns or 1), counted and turns is not None)

  visit(entry, 1, True)
  return {name: run for name, run in runs.items() if name in computations}


def _called(instruction: _Instruction) -> Iterator[str]:
  for match in _CALLED.finditer(instruction.rest):
    for name in match[1].split(","):
      yield name.strip().lstrip("%")


def _trip_count(
    instruction: _Instruction, computations: dict[str, list[_Instruction]]
) -> int | None:
  """Turns of a `while`: as the compiler notes them, or the one constant its condition compares."""
  known = re.search(r'known_trip_count[^\d]*(\d+)', instruction.rest)
  if known:
    return int(known[1])
  condition = re.search(r"condition=%?([\w.\-]+)", instruction.rest)
  body = computations.get(condition[1], []) if condition else []
  reached = [body]
  for one in body:  # The comparison may have been fused.
    reached += [computations.get(name, []) for name in _called(one)]
  constants = {
      int(match[1])
      for part in reached for one in part
      if one.operation == "constant" and (match := re.match(r"(\d+)\)", one.rest))
  }
  return constants.pop() if len(constants) == 1 else None


def _collective(
    instruction: _Instruction, kind: str, count: int, *, used: bool, counted: bool
) -> Collective:
  shape, group = instruction.shape, _group(instruction.rest)
  arrays = [_size(*array) for array in _ARRAY.findall(shape)]
  size = sum(arrays)
  if instruction.operation.endswith("-start") and kind != "all-reduce":
    size = max(arrays, default=0)  # Operand and result stand side by side.
    if kind == "all-gather" and shape.count("(") > 1:
      size = sum(arrays) * group // (group + 1) if group else sum(arrays)
  if kind == "reduce-scatter":
    size *= max(group, 1)
  source = re.search(r'op_name="([^"]*)"', instruction.rest)
  layout = re.sub(r"\{[^}]*\}", "", shape).strip()
  name = source[1] if source else ""
  return Collective(kind, size, count, group, layout, name, used, counted)


def _group(rest: str) -> int:
  """Devices a group of a collective has; 0 where all take part."""
  if match := re.search(r"replica_groups=\[\d+,(\d+)\]", rest):
    return int(match[1])
  if match := re.search(r"replica_groups=\{\{([\d,]*)\}", rest):
    return len(match[1].split(","))
  return 0


def _is_used(instruction: _Instruction, computation: list[_Instruction]) -> bool:
  """Whether anything but the end of an asynchronous operation reads it, or what that end gives."""
  name = re.compile(rf"%?\b{re.escape(instruction.name)}(?![\w.\-])")
  readers = [
      other for other in computation if other is not instruction and name.search(other.rest)
  ]
  return instruction is computation[-1] or any(
      not other.operation.endswith("-done") or _is_used(other, computation) for other in readers
  )


def _size(kind: str, dimensions: str) -> int:
  digits = re.search(r"\d+", kind)
  bits = _BITS.get(kind) or (int(digits[0]) if digits else 0)
  count = 1
  for dimension in filter(None, dimensions.split(",")):
    count *= int(dimension)
  return count * bits // 8
