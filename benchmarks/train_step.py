"""Train step (forward, backward, AdamW) of mla_jax against the same model in PyTorch, on CPU.

  make bench-train_step  # Brings the extra "bench": PyTorch; its CPU build will do.

Both sides start from the same weights and read the same batch; before anything is timed their
embeddings, loss and gradients are compared. Then rounds of steps alternate between the two in one
process on the same threads, whose memory is kept as `mla_jax.main` keeps it. Printed: median step
times and the ratio PyTorch / mla_jax (above 1: mla_jax is faster), once by the clock and once by
CPU time.

On a busy machine only CPU time means something, and only with OMP_WAIT_POLICY=passive in the
environment: PyTorch's threads otherwise wait by spinning, which counts as CPU time.
"""

from collections.abc import Callable
import time

from absl import app, flags
import numpy as np

_ROUNDS = flags.DEFINE_integer("rounds", 8, "Alternations between the two.")
_STEPS = flags.DEFINE_integer("steps", 5, "Timed steps a round, after one that is not.")
_ONLY = flags.DEFINE_enum("only", None, ["features", "pixels"], "Measure this one alone.")
_COMPILE = flags.DEFINE_boolean("compile", False, "torch.compile the reference.")
_DROPOUT = flags.DEFINE_float("dropout", 0.1, "Of both models.")


def measure(steps: dict[str, Callable[[], float]]) -> dict[str, np.ndarray]:
  """Milliseconds of every timed step, [steps, (wall, CPU)]; the sides take turns."""
  times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
  for _ in range(_ROUNDS.value):
    for name, step in steps.items():
      step()  # Wakes this side's threads and warms the caches.
      for _ in range(_STEPS.value):
        start = time.perf_counter(), time.process_time()
        step()
        wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        times[name].append((wall, cpu))
  return {name: 1e3 * np.array(values) for name, values in times.items()}


def main(argv: list[str]) -> None:
  del argv
  # Imported late: they bring jax.
  from benchmarks import step_pair
  from mla_jax import devices

  devices.keep_freed_memory()
  for kind in ("features", "pixels"):
    if _ONLY.value not in (None, kind):
      continue
    pair = step_pair.make(kind, dropout=_DROPOUT.value, compiled=_COMPILE.value)
    print(f"{kind}: {pair.shapes}, dropout {_DROPOUT.value}")
    print(f"  same function: {pair.agreement}")
    times = measure(pair.steps)
    for column, clock in enumerate(("wall", "CPU")):
      medians = {}
      for name, values in times.items():
        low, medians[name], high = np.percentile(values[:, column], [10, 50, 90])
        print(f"  {name}: {medians[name]:.1f} ms {clock} a step (10-90 %: {low:.1f}-{high:.1f})")
      ratio = medians["pytorch"] / medians["mla_jax"]
      print(f"  ratio pytorch / mla_jax, {clock}: {ratio:.2f}", flush=True)


if __name__ == "__main__":
  app.run(main)
