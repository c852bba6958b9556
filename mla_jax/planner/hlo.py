"""Reads collectives out of the text of an optimised HLO module."""

from collections.abc import Iterator
import dataclasses
import re

from mla_jax.planner import replica_groups

KINDS = (
    "all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute",
    "ragged-all-to-all", "collective-broadcast",
)
_BITS = {"pred": 8, "s4": 4, "u4": 4, "bf16": 16, "c64": 64, "c128": 128}

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_OPERATION = re.compile(r"(?:^|\s)([a-z][a-z0-9\-]*)\(")
_CALLED = re.compile(
    r"(?:calls|to_apply|body|condition|branch_computations|true_computation|false_computation)="
    r"\{?([^,}]+(?:, ?%[^,}]+)*)"
)
# What a TPU begins, carries on with and ends in three fusions, each of which shows the collective.
_BEGINS = 'custom_call_target="AsyncCollectiveStart"'
_SCATTERS = "all-reduce-scatter"  # A TPU's fusion that sums up and keeps a device's part alone.
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
    pairs: of a permutation, who sends to whom.
  """

  kind: str
  size: int
  count: int
  group: int
  shape: str
  source: str
  used: bool
  counted: bool
  pairs: tuple[tuple[int, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class _Instruction:
  name: str
  shape: str
  operation: str
  rest: str  # From the operands on.


def collectives(text: str) -> list[Collective]:
  """Every collective of a module, as often as a step runs it; asynchronous ones once.

  Of a conditional every branch counts.

  Args:
    text: `compiled.as_text()`.

  Raises:
    UserError: groups of devices of a form that is not known.
  """
  computations, entry = _parse(text)
  continued = _continued(computations)
  found = []
  for name, (count, counted) in _runs(computations, entry).items():
    for instruction in computations[name]:
      kind = _kind(instruction)
      if kind and (name, instruction.name) not in continued:
        if kind == "all-reduce" and name.startswith(_SCATTERS):
          kind = "reduce-scatter"
        found.append(_collective(instruction, kind, count, counted, computations[name]))
  return found


def _kind(instruction: _Instruction) -> str:
  """Of a collective, or of the start of one; empty else."""
  kind = instruction.operation.removesuffix("-start")
  return kind if kind in KINDS else ""


def _continued(computations: dict[str, list[_Instruction]]) -> set[tuple[str, str]]:
  """Computation and name of what a fusion shows of a collective that another fusion has begun.

  They have its channel. So may collectives outside of fusions, which are others: what was one
  before the compiler divided it keeps its channel.
  """
  fused = {
      called for body in computations.values() for one in body if one.operation == "fusion"
      for called in _called(one) if called in computations
  }
  begin = {name for name in fused if any(_BEGINS in one.rest for one in computations[name])}
  shown = [(name, one) for name in fused for one in computations[name] if _kind(one)]
  begun = {(_kind(one), _channel(one)) for name, one in shown if name in begin}
  return {
      (name, one.name) for name, one in shown
      if name not in begin and (_kind(one), _channel(one)) in begun
  }


def _channel(instruction: _Instruction) -> str:
  found = re.search(r"channel_id=(\d+)", instruction.rest)
  return found[1] if found else ""


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
      if instruction.operation in ("async-update", "async-done"):
        continue  # Its start has called the same.
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
    instruction: _Instruction,
    kind: str,
    count: int,
    counted: bool,
    computation: list[_Instruction],
) -> Collective:
  result = _result(instruction)
  size = _bytes(result)
  if instruction.operation.startswith("reduce-scatter"):  # Its operands are larger.
    size = sum(_bytes(_result(operand)) for operand in _operands(instruction, computation))
  source = re.search(r'op_name="([^"]*)"', instruction.rest)
  return Collective(
      kind=kind,
      size=size,
      count=count,
      group=replica_groups.group_size(instruction.rest),
      shape=re.sub(r"\{[^}]*\}", "", result).strip(),
      source=source[1] if source else "",
      used=_is_used(instruction, computation),
      counted=counted,
      pairs=replica_groups.permuted(instruction.rest),
  )


def _result(instruction: _Instruction) -> str:
  """Its shape; of what starts a collective, (operands, results, ...), that of the results."""
  shape = instruction.shape.strip()
  starts = _kind(instruction) and instruction.operation.endswith("-start")
  if not starts or instruction.operation == "all-reduce-start":  # Which names no operands.
    return shape
  return _elements(shape)[1]


def _elements(shape: str) -> list[str]:
  """Of a tuple's shape."""
  found, depth = [""], 0
  for character in shape[1:-1]:
    depth += (character in "([{") - (character in ")]}")
    if character == "," and not depth:
      found.append("")
    else:
      found[-1] += character
  return [element.strip() for element in found]


def _operands(
    instruction: _Instruction, computation: list[_Instruction]
) -> Iterator[_Instruction]:
  named = {one.name: one for one in computation}
  for name in re.findall(r"%([\w.\-]+)", instruction.rest.partition(")")[0]):
    if name in named:
      yield named[name]


def _is_used(instruction: _Instruction, computation: list[_Instruction]) -> bool:
  """Whether anything but the end of an asynchronous operation reads it, or what that end gives."""
  name = re.compile(rf"%?\b{re.escape(instruction.name)}(?![\w.\-])")
  readers = [
      other for other in computation if other is not instruction and name.search(other.rest)
  ]
  return instruction is computation[-1] or any(
      not other.operation.endswith("-done") or _is_used(other, computation) for other in readers
  )


def _bytes(shape: str) -> int:
  """Of all arrays of a shape."""
  return sum(_size(*array) for array in _ARRAY.findall(shape))


def _size(kind: str, dimensions: str) -> int:
  digits = re.search(r"\d+", kind)
  bits = _BITS.get(kind) or (int(digits[0]) if digits else 0)
  count = 1
  for dimension in filter(None, dimensions.split(",")):
    count *= int(dimension)
  return count * bits // 8
