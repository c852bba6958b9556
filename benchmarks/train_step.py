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

from absl import app, flags
import numpy as np

from benchmarks import turns

_ROUNDS = flags.DEFINE_integer("rounds", 8, "Alternations between the two.")
_STEPS = flags.DEFINE_integer("steps", 5, "Timed steps a round, after one that is not.")
_ONLY = flags.DEFINE_enum("only", None, ["features", "pixels"], "Measure this one alone.")
_COMPILE = flags.DEFINE_boolean("compile", False, "torch.compile the reference.")
_DROPOUT = flags.DEFINE_float("dropout", 0.1, "Of both models.")


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
    times = turns.measure(pair.steps, rounds=_ROUNDS.value, timed=_STEPS.value)
    for column, clock in enumerate(("wall", "CPU")):
      medians = {}
      for name, values in times.items():
        low, medians[name], high = 1e3 * np.percentile(values[:, column], [10, 50, 90])
        print(f"  {name}: {medians[name]:.1f} ms {clock} a step (10-90 %: {low:.1f}-{high:.1f})")
      ratio = medians["pytorch"] / medians["mla_jax"]
      print(f"  ratio pytorch / mla_jax, {clock}: {ratio:.2f}", flush=True)


if __name__ == "__main__":
  app.run(main)
