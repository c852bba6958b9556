"""A run that does nothing but save: the tests kill it, or take its disk away.

The state of a step is a pure function of the step, so that any checkpoint can be judged.
"""

import os
import pathlib
import random
import resource
import signal
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mla_jax import sharding, train_state
from mla_jax.checkpoints import Checkpointer
from mla_jax.errors import UserError
from mla_jax.train_state import TrainState

LEAVES, WIDTH = 12, 256
TX = optax.sgd(0.1)


def _params(step: Any) -> dict[str, jax.Array]:
  base = jnp.arange(WIDTH * WIDTH, dtype=jnp.float32).reshape(WIDTH, WIDTH)
  return {f"leaf_{i}": jnp.sin(base * (i + 1)) + step for i in range(LEAVES)}


def _abstract() -> TrainState:
  mesh = jax.make_mesh((1, 1), sharding.AXES)
  return train_state.abstract_train_state(lambda: _params(0), TX, mesh)


def metric(step: int) -> float:
  """A score without a trend."""
  return float(np.random.default_rng(step).uniform())


def save_forever(directory: pathlib.Path) -> None:
  """Continues from the newest checkpoint; prints every step that is safe on disk."""
  with Checkpointer(directory, keep_last=2, metric="score") as saved:
    left = sorted(path.name for path in directory.iterdir())
    if not all(name.isdigit() for name in left):
      raise AssertionError(f"not cleaned: {left}")
    state = train_state.create_train_state(
        lambda: _params(0), TX, jax.make_mesh((1, 1), sharding.AXES)
    )
    if saved.latest_step() is not None:
      state = saved.restore(_abstract())
    first = int(state.step)
    for name, value in state.params.items():
      np.testing.assert_array_equal(value, jax.jit(_params)(first)[name])
    print("restored", first, saved.best_step(), flush=True)
    # Donation hands the old arrays' memory to the new ones while the old are being written.
    advance = jax.jit(
        lambda state: state.replace(step=state.step + 1, params=_params(state.step + 1)),
        donate_argnums=0,
    )
    for step in range(first + 1, sys.maxsize):
      state = advance(state)
      metrics = {"score": metric(step)} if step % 2 else {}
      saved.save(step, state, metrics, {"config": {"name": "child"}})
      print("safe", step - 1, flush=True)  # A save waits for the one before it.


def kill_again_and_again(directory: pathlib.Path, kills: int) -> None:
  """Forks the run, before any device is used, and kills it at a random moment of its saving."""
  delays = random.Random(0)
  torn = 0
  for number in range(kills):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
      os.dup2(writer, 1)
      save_forever(directory)
      os._exit(1)
    os.close(writer)
    with open(reader) as lines:
      restored = lines.readline().split()
      if restored[:1] != ["restored"]:
        raise AssertionError("the run did not start")
      for _ in range(min(number + 1, 2)):  # However busy the machine, all but the first get on.
        lines.readline()
      time.sleep(delays.uniform(0, 0.3))
      os.kill(child, signal.SIGKILL)
      os.waitpid(child, 0)
      safe = [line for line in lines.read().splitlines(keepends=True) if line.endswith("\n")]
    torn += any(not path.name.isdigit() for path in directory.iterdir())
    print(*restored[1:], safe[-1].split()[1] if safe else restored[1], flush=True)
  print("torn", torn, flush=True)


def lose_the_disk(directory: pathlib.Path) -> None:
  """Saves once, then no file may grow: what a full disk does."""
  state = train_state.create_train_state(
      lambda: _params(0), TX, jax.make_mesh((1, 1), sharding.AXES)
  )
  saved = Checkpointer(directory, keep_last=1)
  saved.save(1, state, {}, {})
  saved.wait()
  resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
  try:
    saved.save(2, state, {}, {})
    saved.save(3, state, {}, {})
  except UserError as error:
    print(error, flush=True)
    os._exit(1)


if __name__ == "__main__":
  if sys.argv[1] == "kill":
    kill_again_and_again(pathlib.Path(sys.argv[2]), int(sys.argv[3]))
  else:
    lose_the_disk(pathlib.Path(sys.argv[2]))
