"""How long `mla_jax.main` takes to start: its --help, and the way to the first training step.

    python -m benchmarks.startup [--config=configs/demo.py] [-- --config.data.dir=DIR ...]

Each is compared with a reference process measured in turn with it: `import jax` for the help (whose
limit is 3 s), and for the first step the bare libraries: import jax, flax and TensorFlow, compile
and run one small step. What stands behind `--` goes to mla_jax.main.
"""

from collections.abc import Sequence
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from absl import app, flags

_CONFIG = flags.DEFINE_string("config", "configs/demo.py", "Config of the run to start.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Runs of each; the median counts.", lower_bound=1)

_LIBRARIES = """
import flax.linen as nn, jax, jax.numpy as jnp, tensorflow as tf
x = tf.ones((8, 64)).numpy()
layer = nn.Dense(64)
params = jax.jit(layer.init)(jax.random.key(0), x)
loss = lambda params: jnp.mean(layer.apply(params, x) ** 2)
jax.block_until_ready(jax.jit(jax.value_and_grad(loss))(params))
"""


def main(argv: Sequence[str]) -> None:
  helps, bare = [], []
  for _ in range(_REPEATS.value):
    helps.append(_seconds("-m", "mla_jax.main", "--help"))
    bare.append(_seconds("-c", "import jax"))
  _report("mla_jax.main --help", helps, "import jax", bare)
  starts, bare = [], []
  for _ in range(_REPEATS.value):
    starts.append(_seconds_to_first_step(argv[1:]))
    bare.append(_seconds("-c", _LIBRARIES))
  _report(f"start to first step of {_CONFIG.value}", starts, "bare libraries", bare)


def _seconds(*args: str) -> float:
  start = time.perf_counter()
  subprocess.run([sys.executable, *args], capture_output=True, check=False)
  return time.perf_counter() - start


def _seconds_to_first_step(extra: Sequence[str]) -> float:
  """From starting the process to the first line of its metrics.jsonl; then it is stopped."""
  with tempfile.TemporaryDirectory() as workdir:
    command = [sys.executable, "-m", "mla_jax.main", f"--config={_CONFIG.value}"]
    command += [f"--workdir={workdir}", "--config.train.log_every=1"]
    log = pathlib.Path(workdir, "stderr.txt")
    metrics = pathlib.Path(workdir, "metrics.jsonl")
    start = time.time()
    with log.open("w") as stderr:
      process = subprocess.Popen([*command, *extra], stdout=stderr, stderr=stderr)
    while process.poll() is None and not (metrics.exists() and metrics.read_text().strip()):
      time.sleep(0.05)
    process.terminate()
    process.wait()
    if not metrics.exists():
      sys.exit(f"no step was made:\n{log.read_text()[-2000:]}")
    first = json.loads(metrics.read_text().splitlines()[0])
    return float(first["time"]) - start


def _report(name: str, times: list[float], reference_name: str, reference: list[float]) -> None:
  median, base = statistics.median(times), statistics.median(reference)
  print(
      f"{name}: {median:.2f} s ({min(times):.2f} to {max(times):.2f}); "
      f"{reference_name}: {base:.2f} s; ratio {median / base:.2f}",
      flush=True,
  )


if __name__ == "__main__":
  app.run(main)
