"""Global softmax loss with its gradients: ring against dense against open_clip-style PyTorch.

    make bench-losses  # Brings the extra "bench": PyTorch; its CPU build will do.

Time and peak memory over the batch, on one CPU device; ring and dense are those of mla_jax, and the
reference is what open_clip's ClipLoss computes in one process (two products of all pairs, two cross
entropies). All three start from the same embeddings and are compared before anything is timed.
Times: medians of steps in turn in one process; on a busy machine only CPU time means something, and
only with OMP_WAIT_POLICY=passive in the environment, as PyTorch's threads wait by spinning. Memory:
how far one step raises the resident memory of a process of its own that has compiled and warmed up
before (Linux only).
"""

from collections.abc import Callable, Sequence
import pathlib
import subprocess
import sys

from absl import app, flags
import numpy as np

from benchmarks import turns

_BATCHES = flags.DEFINE_list("batches", ["1024", "2048", "4096", "8192"], "Rows of each side.")
_ROUNDS = flags.DEFINE_integer("rounds", 4, "Alternations between the three.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 3, "Timed steps a round, after one that is not.")
_MEMORY_OF = flags.DEFINE_string("memory_of", None, "Print the peak memory of this one and end.")

_WIDTH, _SCALE = 512, 14.3  # CLIP's first temperature is 0.07.
_WARM_UP = 64
_MIB = 2**20

Step = Callable[[], tuple[float, np.ndarray, np.ndarray]]


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f"unknown arguments: {argv[1:]}")
  if _MEMORY_OF.value:
    print(peak_memory(_MEMORY_OF.value, int(_BATCHES.value[0])))
    return
  for rows in map(int, _BATCHES.value):
    steps = {name: make(rows) for name, make in SIDES.items()}
    _check(steps)
    seconds = turns.measure(steps, rounds=_ROUNDS.value, timed=_STEPS.value)
    times, cpu = (
        {name: float(np.median(values[:, column])) for name, values in seconds.items()}
        for column in (0, 1)
    )
    memory = {name: _peak_memory_apart(name, rows) for name in SIDES}
    print(f"batch {rows:,}, width {_WIDTH}: " + "; ".join(
        f"{name} {1e3 * times[name]:.1f} ms ({1e3 * cpu[name]:.1f} ms CPU), "
        f"{memory[name] / _MIB:.1f} MiB" for name in SIDES))
    for name in ("dense", "pytorch"):
      print(f"  ring / {name}: time {times['ring'] / times[name]:.2f}, "
            f"CPU time {cpu['ring'] / cpu[name]:.2f}, "
            f"memory {memory['ring'] / memory[name]:.3f}", flush=True)


def _embeddings(rows: int) -> tuple[np.ndarray, np.ndarray]:
  x = np.random.default_rng(0).normal(size=(2, rows, _WIDTH))
  x /= np.linalg.norm(x, axis=-1, keepdims=True)
  video, text = x.astype(np.float32)
  return video, text


def _jax_step(rows: int, impl: str) -> Step:
  import jax
  import jax.numpy as jnp
  from ml_collections import ConfigDict

  from mla_jax.losses import contrastive
  from mla_jax.losses.types import Side
  from mla_jax.sharding import make_mesh

  mesh = make_mesh(ConfigDict({"data": 1, "fsdp": 1}), jax.devices()[:1])
  real, key = jnp.ones(rows, bool), jnp.arange(rows)

  def value(video: jax.Array, text: jax.Array, log_scale: jax.Array) -> jax.Array:
    return contrastive.softmax_alignment(
        Side(video, real, key),
        Side(text, real, key),
        log_scale=log_scale,
        bias=jnp.float32(0),
        duplicates="positive",
        impl=impl,
        mesh=mesh,
    ).loss

  inputs = *jax.device_put(_embeddings(rows)), jnp.log(jnp.float32(_SCALE))
  step = jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2))).lower(*inputs).compile()

  def run() -> tuple[float, np.ndarray, np.ndarray]:
    loss, gradients = jax.block_until_ready(step(*inputs))
    return float(loss), np.asarray(gradients[0]), np.asarray(gradients[1])

  return run


def _torch_step(rows: int) -> Step:
  import torch
  import torch.nn.functional as F

  video, text = (torch.from_numpy(x).requires_grad_() for x in _embeddings(rows))
  log_scale = torch.tensor(np.log(_SCALE), dtype=torch.float32, requires_grad=True)
  labels = torch.arange(rows)

  def run() -> tuple[float, np.ndarray, np.ndarray]:
    video.grad = text.grad = log_scale.grad = None
    scale = log_scale.exp()
    per_video, per_text = scale * video @ text.T, scale * text @ video.T
    loss = (F.cross_entropy(per_video, labels) + F.cross_entropy(per_text, labels)) / 2
    loss.backward()
    return float(loss.item()), video.grad.numpy(), text.grad.numpy()

  return run


SIDES: dict[str, Callable[[int], Step]] = {
    "ring": lambda rows: _jax_step(rows, "ring"),
    "dense": lambda rows: _jax_step(rows, "dense"),
    "pytorch": _torch_step,
}


def _check(steps: dict[str, Step]) -> None:
  """All sides agree to 1e-5, gradients of their largest value."""
  loss, *gradients = steps["pytorch"]()
  for name in ("ring", "dense"):
    ours, *our_gradients = steps[name]()
    np.testing.assert_allclose(ours, loss, rtol=1e-5, err_msg=name)
    for found, expected in zip(our_gradients, gradients, strict=True):
      np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), err_msg=name)


def peak_memory(name: str, rows: int) -> int:
  """Bytes by which one step raises the resident memory of this process at most."""
  SIDES[name](_WARM_UP)()  # Loads the libraries and starts their threads.
  step = SIDES[name](rows)
  pathlib.Path("/proc/self/clear_refs").write_text("5")  # The highest is now the present.
  before = _status("VmRSS")
  step()
  return _status("VmHWM") - before


def _status(field: str) -> int:
  lines = pathlib.Path("/proc/self/status").read_text().splitlines()
  return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _peak_memory_apart(name: str, rows: int) -> int:
  command = [sys.executable, "-m", "benchmarks.losses", f"--memory_of={name}", f"--batches={rows}"]
  return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
  app.run(main)
