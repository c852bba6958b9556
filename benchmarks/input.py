"""Examples a second of the input pipeline against a PyTorch DataLoader over the same files.

    make bench-input ARGS=--source=DIR  # Brings the extra "bench": PyTorch; its CPU build will do.

DIR is a folder in MSR-VTT's layout with JPEG frames and features (`frames/VIDEO/*.jpg`,
`features/VIDEO.npy`). It is prepared first, into a temporary folder, as a user does once. Then each
side reads batches of training captions with their videos in a process of its own, in turn, with two
workers: threads of tf.data here ("mla_jax"), or processes that make the rows ("mla_jax_processes":
`data.workers=2`); processes of the DataLoader there. "pytorch" ends in uint8 or float16 as mla_jax
does, "pytorch_float" in float32 (pixels normalised), as CLIP4Clip and open_clip feed their models.
With --epochs=1 both have read everything once before they are timed, as in most of a training run
of this field: here the tokens of a text are kept (by each process for itself, which in one epoch
has seen only its share: processes are at their best after some epochs). Frames are prepared no
larger than training needs (`--short_side`). Printed: medians by the clock, and by CPU time, workers
included, which is what a core can do.
"""

from collections.abc import Iterator, Sequence
import itertools
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import app, flags
import numpy as np

_SOURCE = flags.DEFINE_string("source", None, "Folder in MSR-VTT's layout.", required=True)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Times each side has its turn.", lower_bound=1)
_BATCHES = flags.DEFINE_integer("batches", 30, "Timed batches of a turn.", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 0, "Passes before the timing.", lower_bound=0)
_SHORT_SIDE = flags.DEFINE_integer(
    "short_side", 80, "Of prepared frames: image_size / crop_scale is all that training uses."
)
_ONLY = flags.DEFINE_enum("only", None, ["features", "pixels"], "Measure this one alone.")
_TURN = flags.DEFINE_list("turn", None, "KIND,SIDE,DIR: take one turn and end.")

_WORKERS, _WARM_UP = 2, 6
_START_SECONDS = 15  # Of the processes of data.workers, which import what they need.
_ROWS = {"features": 256, "pixels": 64}
_OURS, _THEIRS = ("mla_jax", "mla_jax_processes"), ("pytorch", "pytorch_float")
_SIDES = (*_OURS, *_THEIRS)
_KINDS = ("features", "pixels")


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f"unknown arguments: {argv[1:]}")
  if _TURN.value:
    kind, side, folder = _TURN.value
    print(*_turn(kind, side, pathlib.Path(folder)))
    return
  for kind in [_ONLY.value] if _ONLY.value else _KINDS:
    with tempfile.TemporaryDirectory() as folder:
      _prepare(kind, folder)
      turns: dict[str, list[tuple[float, float]]] = {side: [] for side in _SIDES}
      for _ in range(_ROUNDS.value):
        for side, found in turns.items():
          found.append(_turn_apart(kind, side, folder))
    rates = {side: np.median(1 / np.array(found), axis=0) for side, found in turns.items()}
    print(f"{kind}, {_WORKERS} workers, load {os.getloadavg()[0]:.1f}: examples/s by the clock and "
          "of CPU time, " + "; ".join(f"{s} {a:,.0f}, {b:,.0f}" for s, (a, b) in rates.items()))
    for ours, other in itertools.product(_OURS, _THEIRS):
      clock, cpu = rates[ours] / rates[other]
      print(f"  {ours} / {other}: {clock:.2f} by the clock, {cpu:.2f} by CPU time", flush=True)


def _prepare(kind: str, folder: str) -> None:
  source = pathlib.Path(_SOURCE.value)
  media = source / ("frames" if kind == "pixels" else "features")
  command = [
      sys.executable, "-m", "mla_jax.prepare", "msrvtt_retrieval", f"--annotations={source}",
      f"--media={media}", f"--short_side={_SHORT_SIDE.value}", f"--out={folder}",
  ]
  subprocess.run(command, check=True, capture_output=True)


def _turn_apart(kind: str, side: str, folder: str) -> tuple[float, float]:
  command = [
      sys.executable, "-m", "benchmarks.input", f"--turn={kind},{side},{folder}",
      f"--source={_SOURCE.value}", f"--batches={_BATCHES.value}", f"--epochs={_EPOCHS.value}",
  ]
  out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
  wall, cpu = map(float, out.split()[-2:])
  return wall, cpu


def _turn(kind: str, side: str, folder: pathlib.Path) -> tuple[float, float]:
  """Seconds an example: by the clock, and of CPU time."""
  config = _config(kind, folder)
  if side in _OURS:
    config.data.workers = _WORKERS if side.endswith("processes") else 0
    batches, epoch = _mla_jax(config, folder)
  else:
    batches, epoch = _pytorch(config, kind, folder, normalise=side.endswith("float"))
  _check(next(batches), config, kind)
  if side.endswith("processes"):
    time.sleep(_START_SECONDS)
  for _ in range(_WARM_UP):
    _check(next(batches), config, kind)
  for _ in range(_EPOCHS.value * epoch):
    next(batches)
  wall, cpu = time.perf_counter(), _cpu_seconds()
  for _ in range(_BATCHES.value):
    next(batches)
  examples = _ROWS[kind] * _BATCHES.value
  return (time.perf_counter() - wall) / examples, (_cpu_seconds() - cpu) / examples


def _config(kind: str, folder: pathlib.Path) -> Any:
  from configs import common
  from mla_jax import config_lib

  pixels = ":pixels" if kind == "pixels" else ""
  config = config_lib.load_config(f"configs/msrvtt_mini_retrieval.py{pixels}")
  config.data.dir = str(folder)
  config.data.captions, config.data.num_frames, config.data.dev_fraction = 1, 12, 0.0
  config.data.sources = {"captions": common.source("retrieval", "train", _ROWS[kind], unit="text")}
  return config


# Batches without end, and how many are an epoch.
Opened = tuple[Iterator[dict[str, Any]], int]


def _mla_jax(config: Any, folder: pathlib.Path) -> Opened:
  import tensorflow as tf

  from mla_jax import run as run_lib
  from mla_jax.data import pipeline, sources

  tf.config.threading.set_inter_op_parallelism_threads(_WORKERS)
  tf.config.threading.set_intra_op_parallelism_threads(_WORKERS)
  workdir = folder / f"run{os.getpid()}"
  workdir.mkdir()
  run_lib.start_workdir(config, workdir)
  run = run_lib.open_run(config, workdir)
  drawn = sources.open_sources(config.data, with_video=True)
  batches = pipeline.train_batches(run.reader, drawn, seed=0, steps=range(1_000_000))
  return batches, drawn[0].units // drawn[0].rows


def _pytorch(config: Any, kind: str, folder: pathlib.Path, *, normalise: bool) -> Opened:
  import torch

  from benchmarks import torch_input

  data = config.data
  sizes = torch_input.Sizes(data.num_frames, data.text_length, data.image_size, data.crop_scale)
  tokenizer = folder / "msrvtt" / "retrieval" / "tokenizer.model"
  dataset = torch_input.Captions(
      pathlib.Path(_SOURCE.value), kind, sizes, tokenizer, normalise=normalise
  )
  torch.manual_seed(0)
  loader: Any = torch.utils.data.DataLoader(
      dataset, batch_size=_ROWS[kind], shuffle=True, num_workers=_WORKERS, drop_last=True,
      persistent_workers=True,
  )
  batches = itertools.chain.from_iterable(itertools.repeat(loader))
  return batches, len(loader)


def _cpu_seconds() -> float:
  """Of this process and its workers, so far."""
  workers = [worker.pid for worker in multiprocessing.active_children()]
  return time.process_time() + sum(_cpu_of(worker) for worker in workers)


def _cpu_of(process: int | None) -> float:
  fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
  return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _check(batch: dict[str, Any], config: Any, kind: str) -> None:
  """Both sides give the shapes of the config, and frames and tokens that are not blank."""
  data = config.data
  size = (data.image_size, data.image_size, 3)
  shape = size if kind == "pixels" else (config.model.video.feature_width,)
  found = {name: np.asarray(batch[name]) for name in ("video", "frame_mask", "text", "text_mask")}
  assert found["video"].shape == (_ROWS[kind], data.num_frames, *shape), found["video"].shape
  assert found["text"].shape == (_ROWS[kind], data.text_length), found["text"].shape
  filled = found["video"].reshape(*found["frame_mask"].shape, -1).any(axis=-1)
  assert (filled == found["frame_mask"]).mean() > 0.99  # A frame may be black.
  assert ((found["text"] != 0) == found["text_mask"]).mean() > 0.99


if __name__ == "__main__":
  app.run(main)
