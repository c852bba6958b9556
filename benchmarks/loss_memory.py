"""Memory a TPU chip needs for each loss and its gradients, dense and as a ring; no TPU is needed.

    make bench-loss_memory ARGS=--write  # Brings the TPU compiler.

The programs are compiled for v5e pods of 16 to 256 chips, by the compiler a TPU would use, and XLA
tells what they allocate. Prints one line a program; with --write the table of docs/scaling.md is
made from them, after every program; rows made by other code or compilers do not stay beside new
ones. Everything takes about an hour on two cores, most of it the dense losses on 256 chips: --only,
--impl, --chips, --batches and --missing choose.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import math
import os
import pathlib
import re
import sys
import time
from typing import Any

from absl import app, flags

from benchmarks import made_by, marked

_WRITE = flags.DEFINE_boolean("write", False, "Put what was measured into the table of --page.")
_ONLY = flags.DEFINE_list("only", [], "Losses to compile; all by default.")
_IMPL = flags.DEFINE_list("impl", ["ring", "dense"], "Implementations to compile.")
_CHIPS = flags.DEFINE_list("chips", [], "Numbers of chips to compile for; all by default.")
_BATCHES = flags.DEFINE_list("batches", [], "Global batches to compile for; all by default.")
_MISSING = flags.DEFINE_boolean("missing", False, "Compile only what the table does not have.")
_PAGE = flags.DEFINE_string("page", "docs/scaling.md", "Page with the table.")

_PLACE = "loss_memory"  # In the page.
TOPOLOGIES = {16: "v5e:4x4", 64: "v5e:8x8", 256: "v5e:16x16"}
POINTS = ((16, 2_048), (64, 8_192), (256, 8_192), (256, 32_768))  # Chips and global batch.
SEGMENTS, WIDTH = 8, 512
MIB = 2**20
REFUSED = "refused"

Program = tuple[str, str, int, int]  # Loss, implementation, chips, global batch.


@dataclasses.dataclass(frozen=True)
class Memory:
  """MiB a chip.

  Attributes:
    temporary: what the program allocates in HBM beside its arguments and results.
    peak: XLA's estimate of all it needs at one time, arguments and on-chip memory included.
    refused: XLA does not compile it, for the chip has less than `temporary`; `peak` is not known.
  """

  temporary: float
  peak: float
  refused: bool = False


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f"unknown arguments: {argv[1:]}")
  os.environ["JAX_PLATFORMS"] = "cpu"
  # There is no TPU here to ask for its surroundings, nor one to keep from other processes.
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
  os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
  page, now = pathlib.Path(_PAGE.value), _now()
  measured: dict[Program, Memory] = {}
  made, known = recorded(page.read_text())
  todo = [x for x in _programs() if not (_MISSING.value and made == now and x in known)]
  if _WRITE.value:
    _check_one_version(made, now, len(known.keys() - set(todo)))
  for program in todo:
    start = time.perf_counter()
    measured[program] = memory = measure(*program)
    loss, impl, chips, rows = program
    peak = "refused" if memory.refused else f"{memory.peak:,.2f} MiB peak"
    print(
        f"{loss}, {impl}, {chips} chips, batch {rows:,}: {memory.temporary:,.2f} MiB temporary, "
        f"{peak} a chip (compiled in {time.perf_counter() - start:.0f} s)",
        flush=True,
    )
    if _WRITE.value:
      page.write_text(updated(page.read_text(), measured, now))


def _now() -> str:
  """What would make a row; nothing else of the code has a part in it."""
  from mla_jax import code_version
  from mla_jax.planner import topology

  code = "benchmarks/loss_memory.py", "mla_jax/losses", "mla_jax/sharding.py"
  return made_by.line(code_version.current(*code), topology.compilers(TOPOLOGIES[16]))


def _check_one_version(made: str, now: str, stay: int) -> None:
  """Raises SystemExit if programs of another version would stay in the table."""
  if stay and made != now:
    sys.exit(
        f"error: --write: {stay} programs in the table of {_PAGE.value} would stay, by {made}, "
        f"beside new ones by {now}: compile all anew: make bench-loss_memory ARGS=--write"
    )


def _programs() -> list[Program]:
  names = list(loss_functions())
  unknown = set(_ONLY.value) - set(names)
  if unknown:
    sys.exit(f"error: --only={','.join(sorted(unknown))}: choose from {', '.join(names)}")
  return [
      (name, impl, chips, rows)
      for name in names
      for chips, rows in POINTS
      for impl in _IMPL.value
      if name in (_ONLY.value or names) and (not _CHIPS.value or str(chips) in _CHIPS.value)
      and (not _BATCHES.value or str(rows) in _BATCHES.value)
  ]


def loss_functions() -> dict[str, Callable[..., Any]]:
  """Every alignment loss by the name it has in the table."""
  from mla_jax.losses import contrastive, latent, segment

  losses: dict[str, Callable[..., Any]] = {
      "softmax": functools.partial(contrastive.softmax_alignment, duplicates="positive"),
      "sigmoid": functools.partial(contrastive.sigmoid_alignment, duplicates="positive"),
      "timed": functools.partial(segment.timed_alignment, upper=0.5, lower=0.2),
  }
  for variant in latent.VARIANTS:
    losses[f"latent_{variant}"] = functools.partial(
        segment.latent_alignment, variant=variant, temperature=0.1, duplicates="positive"
    )
  return losses


def measure(loss: str, impl: str, chips: int, rows: int) -> Memory:
  """Compiles the loss and its gradients by embeddings and scalars for a pod."""
  import jax
  from jax.experimental import topologies
  from ml_collections import ConfigDict

  from mla_jax import sharding

  pod = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGIES[chips])
  mesh = sharding.make_mesh(ConfigDict({"data": -1, "fsdp": 1}), pod.devices)
  try:
    found = _program(loss, impl, rows, mesh).compile().memory_analysis()
  except jax.errors.JaxRuntimeError as error:
    used = re.search(r"Used ([\d.]+)([KMGT]) of [\d.]+\w hbm", str(error))
    if "RESOURCE_EXHAUSTED" not in str(error) or not used:
      raise
    return Memory(float(used[1]) * 1024.0 ** ("KMGT".index(used[2]) - 1), math.nan, refused=True)
  return Memory(found.temp_size_in_bytes / MIB, found.peak_memory_in_bytes / MIB)


def _program(loss: str, impl: str, rows: int, mesh: Any) -> Any:
  """Lowered `(learnt, batch) -> (loss, metrics), gradients`."""
  import jax
  import jax.numpy as jnp

  from mla_jax import sharding
  from mla_jax.losses.types import Side

  whole = loss in ("softmax", "sigmoid")
  split = sharding.batch_sharding(mesh)
  shape = (rows,) if whole else (rows, SEGMENTS)
  embedding = jax.ShapeDtypeStruct((*shape, WIDTH), jnp.float32, sharding=split)
  mask = jax.ShapeDtypeStruct(shape, jnp.bool_, sharding=split)
  key = jax.ShapeDtypeStruct((rows,), jnp.int32, sharding=split)
  scalar = jax.ShapeDtypeStruct((), jnp.float32, sharding=sharding.replicated(mesh))
  learnt = {"video": embedding, "text": embedding, "log_scale": scalar}
  batch = {"video_mask": mask, "text_mask": mask, "video_key": key, "text_key": key}
  if whole:
    learnt["bias"] = scalar
  if loss == "timed":
    overlap = (rows, SEGMENTS, SEGMENTS)
    batch["overlap"] = jax.ShapeDtypeStruct(overlap, jnp.float32, sharding=split)
  function = loss_functions()[loss]

  def value(learnt: dict[str, jax.Array], batch: dict[str, jax.Array]) -> Any:
    scalars = {name: learnt[name] for name in ("log_scale", "bias") if name in learnt}
    overlap = {"overlap": batch["overlap"]} if "overlap" in batch else {}
    output = function(
        Side(learnt["video"], batch["video_mask"], batch["video_key"]),
        Side(learnt["text"], batch["text_mask"], batch["text_key"]),
        impl=impl,
        mesh=mesh,
        **scalars,
        **overlap,
    )
    return output.loss, output.metrics

  return jax.jit(jax.value_and_grad(value, has_aux=True)).lower(learnt, batch)


def updated(page: str, measured: dict[Program, Memory], now: str) -> str:
  """The page with these programs in its table; its other rows stay if what made them is the same.

  Raises:
    SystemExit: the page has no place for the table.
  """
  before, _, after = marked.parts(page, _PLACE)
  made, known = recorded(page)
  table = _table((known if made == now else {}) | measured, now)
  return f"{before}{table}{after}"


def recorded(page: str) -> tuple[str, dict[Program, Memory]]:
  """What made the page's table, and what it says."""
  _, table, _ = marked.parts(page, _PLACE)
  made = re.search(r"^Compiled: (.+)\.$", table, re.MULTILINE)
  return made[1] if made else made_by.NOT_RECORDED, _parse(table)


def _table(measured: dict[Program, Memory], made: str) -> str:
  lines = [
      "| loss | chips | batch | dense MiB | ring MiB | ring / dense | dense peak | ring peak |",
      "|---|---|---|---|---|---|---|---|",
  ]
  for loss in loss_functions():
    for chips, rows in POINTS:
      dense, ring = (measured.get((loss, impl, chips, rows)) for impl in ("dense", "ring"))
      temporary, peak = (
          [_cell(x, field) for x in (dense, ring)] for field in ("temporary", "peak")
      )
      cells = [loss, str(chips), f"{rows:,}", *temporary, _ratio(dense, ring), *peak]
      lines.append(f"| {' | '.join(cells)} |")
  return "\n".join([*lines, "", f"Compiled: {made}.", ""])


def _ratio(dense: Memory | None, ring: Memory | None) -> str:
  if not dense or not ring or not dense.temporary:
    return ""
  return f"{100 * ring.temporary / dense.temporary:.2f} %"


def _cell(memory: Memory | None, field: str) -> str:
  if memory is None:
    return ""
  return REFUSED if memory.refused and field == "peak" else f"{getattr(memory, field):,.2f}"


def _parse(table: str) -> dict[Program, Memory]:
  """`_table` undone."""
  found: dict[Program, Memory] = {}
  for line in table.splitlines():
    cells = [cell.strip().replace(",", "") for cell in line.strip("|").split("|")]
    if len(cells) != 8 or cells[0] not in loss_functions():
      continue
    for impl, temporary, peak in (("dense", cells[3], cells[6]), ("ring", cells[4], cells[7])):
      if temporary and peak:
        program = cells[0], impl, int(cells[1]), int(cells[2])
        refused = peak == REFUSED
        found[program] = Memory(
            float(temporary), math.nan if refused else float(peak), refused=refused
        )
  return found


if __name__ == "__main__":
  app.run(main)
