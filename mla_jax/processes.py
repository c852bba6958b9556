"""Several processes, one a host, as one program: joining, agreeing, gathering."""

from collections.abc import Callable, Mapping
import dataclasses
import functools
import json
import socket
import threading
from typing import Any

import jax
from jax._src import distributed
from jax.experimental import multihost_utils
import numpy as np

from mla_jax import sharding
from mla_jax.beside import LastWords
from mla_jax.config_values import flatten, from_plain
from mla_jax.errors import UserError

# After so long, or half of it, since its heartbeats lie that far apart, JAX ends a job of which a
# process died or was stopped. `peers` says more, and has to be sooner.
HEARTBEAT_SECONDS = 200
# Longer than anything waits: what ends a wait in vain is `peers` or the watchdog.
_BARRIER_MILLISECONDS = 7 * 24 * 3600 * 1000
_JOIN_SECONDS = 0.2
_ARRIVAL_SECONDS = 300  # In which all processes of a job have to come.
_MEND_JOIN = "check the coordinator's address and that all processes were started"


def join(
    coordinator: str | None, num_processes: int | None, process_id: int | None, *, found: bool
) -> None:
  """Makes this process one of a job's; before anything touches a device.

  Args:
    coordinator: HOST:PORT of process 0; None with the next two: a job of one process.
    num_processes: of the job.
    process_id: of this one, from 0.
    found: instead, all three are found out by JAX: on a TPU pod, under Slurm, on Kubernetes.

  Raises:
    UserError: some of the three are missing, do not fit, or the others do not answer.
  """
  given = [value for value in (coordinator, num_processes, process_id) if value is not None]
  if not given and not found:
    return
  if given and (found or len(given) < 3):
    raise UserError(
        "--coordinator, --num_processes, --process_id: give all three, or --distributed alone "
        "where JAX can find them out"
    )
  if given and not 0 <= process_id < num_processes:  # type: ignore[operator]
    raise UserError(f"--process_id={process_id}: must be from 0 to below {num_processes}")
  if coordinator is not None:
    _check_address(coordinator, serves=process_id == 0)
  # Read by the CPU backend alone, whose processes have no fabric of their own.
  jax.config.update("jax_cpu_collectives_implementation", "gloo")
  try:
    # JAX's C++ code aborts a process that waited in vain.
    with LastWords(f"process {'?' if process_id is None else process_id}") as words:
      words.say(
          f"the start: waiting for the {num_processes or 'other'} processes of the job at "
          f"{coordinator or 'the address JAX found'}, {_ARRIVAL_SECONDS} s at most: {_MEND_JOIN}"
      )
      jax.distributed.initialize(
          coordinator,
          num_processes,
          process_id,
          initialization_timeout=_ARRIVAL_SECONDS,
          heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
      )
  except (RuntimeError, ValueError) as error:
    raise UserError(
        f"the job's processes did not find each other ({str(error).splitlines()[0]}): "
        f"{_MEND_JOIN}"
    ) from error


def _check_address(coordinator: str, *, serves: bool) -> None:
  """Whether this is an address, and free where process 0 is to answer there.

  JAX's service ends its process without a word where the port is taken.
  """
  host, _, port = coordinator.rpartition(":")
  if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
    raise UserError(f"--coordinator={coordinator}: give HOST:PORT, the address of process 0")
  if not serves:
    return
  try:
    socket.create_server(("", int(port))).close()
  except OSError as error:
    raise UserError(
        f"--coordinator={coordinator}: port {port} of this machine cannot be used "
        f"({error.strerror}): choose another"
    ) from error


@dataclasses.dataclass(frozen=True)
class Service:
  """JAX's coordination service as seen by one process of several.

  Attributes:
    client: of it: a store of keys and values, and barriers.
    number: of this process.
    count: of the job's processes.
  """

  client: Any
  number: int
  count: int


def service() -> Service | None:
  """None in a job of one process. It touches no device."""
  state = distributed.global_state  # JAX gives it no public name; Orbax takes it from here too.
  if state.client is None or state.num_processes == 1:
    return None
  return Service(state.client, state.process_id, state.num_processes)


def is_first() -> bool:
  """Whether this process writes what is written once."""
  return jax.process_index() == 0


def wait_for_all(where: str) -> None:
  """Returns when every process has come to the same place; each place is passed once.

  However long one takes: a collective of the CPU backend would wait for half a minute only.
  """
  if (found := service()) is None:
    return
  failures: list[Exception] = []

  def wait() -> None:
    try:
      found.client.wait_at_barrier(f"mla_jax/{where}", _BARRIER_MILLISECONDS)
    except Exception as error:
      failures.append(error)

  # In a thread: a signal's handler runs between two joins, not within one call of the service.
  thread = threading.Thread(target=wait, name=f"barrier {where}", daemon=True)
  thread.start()
  while thread.is_alive():
    thread.join(_JOIN_SECONDS)
  if failures:
    raise failures[0]


def check_agreement(mine: Mapping[str, Any], *, where: str, mend: str) -> None:
  """Stops every process where they are about to do different things.

  Args:
    mine: JSON-able facts by name, e.g. the config, the code version, the data's fingerprint.
    where: see `wait_for_all`.
    mend: what to do where they differ.

  Raises:
    UserError: naming what differs between process 0 and the first other process that differs.
  """
  if jax.process_count() == 1:
    return
  wait_for_all(where)
  texts = [json.loads(text) for text in gather_texts(json.dumps(mine, sort_keys=True))]
  for number, theirs in enumerate(texts[1:], start=1):
    if theirs != texts[0]:
      raise UserError(
          f"process {number} and process 0 differ: {_difference(texts[0], theirs)}: {mend}"
      )


def gather_texts(text: str) -> list[str]:
  """Every process's text, in the order of the processes."""
  raw = np.frombuffer(text.encode(), np.uint8)
  sizes = np.asarray(multihost_utils.process_allgather(np.array([len(raw)], np.int32)))
  padded = np.zeros(int(sizes.max()), np.uint8)
  padded[: len(raw)] = raw
  rows = np.asarray(multihost_utils.process_allgather(padded))
  return [
      bytes(row[: int(size)]).decode() for row, size in zip(rows, sizes.ravel(), strict=True)
  ]


def gather(tree: Any, mesh: jax.sharding.Mesh) -> Any:
  """Global arrays as host arrays, whole, in every process."""
  if jax.process_count() == 1:
    return jax.device_get(tree)
  return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_data(0)), _replicate(mesh)(tree))


@functools.cache
def _replicate(mesh: jax.sharding.Mesh) -> Callable[[Any], Any]:
  """One function a mesh: a new one would be compiled anew for every batch."""
  return jax.jit(lambda tree: tree, out_shardings=sharding.replicated(mesh))


def _difference(first: dict[str, Any], other: dict[str, Any]) -> str:
  flat = [flatten(from_plain(facts)) for facts in (first, other)]
  names = [name for name in {**flat[0], **flat[1]} if flat[0].get(name) != flat[1].get(name)]
  shown = [f"{name}: {flat[0].get(name)!r} in 0, {flat[1].get(name)!r}" for name in names[:3]]
  return "; ".join(shown) + ("; ..." if len(names) > 3 else "")
