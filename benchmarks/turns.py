"""Times several sides of a comparison in one process, so that all have the same machine."""

from collections.abc import Callable, Mapping
import time

import numpy as np


def measure(
    steps: Mapping[str, Callable[[], object]], *, rounds: int, timed: int
) -> dict[str, np.ndarray]:
  """Seconds of every timed step, `[steps, (wall, CPU)]`.

  Args:
    steps: by name, a function that takes one step and waits for its end.
    rounds: how often every side has its turn.
    timed: steps of a turn, after one that is not timed.
  """
  seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
  for _ in range(rounds):
    for name, step in steps.items():
      step()  # Wakes this side's threads and warms the caches.
      for _ in range(timed):
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
  return {name: np.array(values) for name, values in seconds.items()}
