"""Train step (forward, backward, AdamW) of mla_jax against the same model in PyTorch, on CPU.

  make bench-train_step  # Brings the extra "bench": PyTorch; its CPU build will do.

Both sides start from the same weights and read the same batch; before anything is timed their
embeddings, loss and gradients are compared. Then rounds of steps alternate between the two in one
process on the same threads. Printed: median step times and the ratio PyTorch / mla_jax (above 1:
mla_jax is faster).
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
  # Imported late: it brings jax.
  from benchmarks import step_pair

  for kind in ("features", "pixels"):
    if _ONLY.value not in (None, kind):
      continue
    pair = step_pair.make(kind, dropout=_DROPOUT.value, compiled=_COMPILE.value)
    print(f"{kind}: {pair.shapes}, dropout {_DROPOUT.value}")
    print(f"  same function: {pair.agreement}")
    seconds = turns.measure(pair.steps, rounds=_ROUNDS.value, timed=_STEPS.value)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    for name, median in medians.items():
      low, high = 1e3 * np.percentile(seconds[name], [10, 90])
      print(f"  {name}: {1e3 * median:.1f} ms a step (10-90 %: {low:.1f}-{high:.1f})")
    print(f"  ratio pytorch / mla_jax: {medians['pytorch'] / medians['mla_jax']:.2f}", flush=True)


if __name__ == "__main__":
  app.run(main)
