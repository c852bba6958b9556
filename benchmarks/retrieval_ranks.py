"""Retrieval ranks in blocks against the full-matrix sorts that peers use: seconds and memory.

    make bench-retrieval_ranks ARGS="--size=100000 --sorted=20000"  # PyTorch is one of the peers.

First the ranks of --size texts against as many videos, from random embeddings: seconds, and peak
memory above the embeddings. Then --sorted of them by mla_jax and by each peer, in turn, from
embeddings (the product of which both need) and from a matrix of scores that is there already. A
full sort of n x n holds about 20 n^2 bytes (CLIP4Clip) or 24 n^2 (X-Pool): 24 GiB hold less than
30,000.
"""

from collections.abc import Callable, Sequence
import functools
import os
import resource
import time

from absl import app, flags
import numpy as np

from mla_jax.evals import retrieval

_SIZE = flags.DEFINE_integer("size", 40_000, "Texts and videos ranked in blocks.", lower_bound=2)
_TEXTS = flags.DEFINE_integer("texts", 0, "How many of these texts ask; 0: all.", lower_bound=0)
_SORTED = flags.DEFINE_integer(
    "sorted", 10_000, "Texts and videos whose whole matrix is sorted; 0: none.", lower_bound=0)
_WIDTH = flags.DEFINE_integer("width", 512, "Of the embeddings.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Runs of each; the median counts.", lower_bound=1)

# From scores [n, n], text i belonging to video i: queries, and a place of each (0 = first).
Peer = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f"unknown arguments: {argv[1:]}")
  print(f"numpy {np.__version__}, {_blas()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
  text, video = _embeddings(_SIZE.value)
  _in_blocks(text[: _TEXTS.value or None], video)
  del text, video
  if _SORTED.value:
    _against_sorts(*_embeddings(_SORTED.value))


def _in_blocks(text: np.ndarray, video: np.ndarray) -> None:
  before = _peak_bytes()
  start = time.perf_counter()
  ranks = retrieval.text_to_video(text, video, np.arange(len(text)))
  seconds = time.perf_counter() - start
  above = (_peak_bytes() - before) / 2**20
  flops = 2.0 * text.size * len(video) / seconds / 1e9
  print(
      f"{len(text):,} x {len(video):,}, width {text.shape[1]}: {seconds:.1f} s ({flops:.0f} GFLOPS"
      f" of products), {above:.0f} MiB above the embeddings, mean rank {ranks.rank.mean():,.0f}",
      flush=True,
  )


def _against_sorts(text: np.ndarray, video: np.ndarray) -> None:
  owner = np.arange(len(text))
  scores = text @ video.T
  for name, peer in _peers().items():
    query, place = peer(scores)
    found = retrieval.text_to_video_from_scores(scores, owner)
    # Where scores tie, a peer gives one of the places, or each of them.
    if (np.abs(found.rank[query] - place - 1) > found.ties[query] / 2).any():
      raise AssertionError(f"{name} ranks otherwise than mla_jax")
    given = f"{len(query):,} ranks for {len(text):,} texts, {found.ties.sum()} ties"
    del query, place
    from_scores = _median_seconds([
        lambda: retrieval.text_to_video_from_scores(scores, owner),
        functools.partial(peer, scores),
    ])
    from_embeddings = _median_seconds([
        lambda: retrieval.text_to_video(text, video, owner),
        functools.partial(_product_and, peer, text, video),
    ])
    print(f"{name}: {given}")
    for what, (ours, theirs) in (
        ("from scores", from_scores), ("from embeddings", from_embeddings)
    ):
      print(
          f"  {what}: mla_jax {ours:.2f} s, {name} {theirs:.2f} s, ratio {theirs / ours:.1f}",
          flush=True,
      )


def _peers() -> dict[str, Peer]:
  found = {"CLIP4Clip (numpy sort)": _clip4clip}
  try:
    import torch
  except ImportError:
    print("without PyTorch (the extra `bench`): X-Pool's sort is left out")
    return found

  def x_pool(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X-Pool's modules/metrics.py sims_to_metrics: two argsorts give every item's place."""
    order = torch.argsort(torch.from_numpy(scores), dim=-1, descending=True)
    return np.arange(len(scores)), torch.diagonal(torch.argsort(order, dim=-1)).numpy()

  return found | {"X-Pool (two torch argsorts)": x_pool}


def _clip4clip(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """CLIP4Clip's metrics.py compute_metrics; MIL-NCE and MMPT rank alike."""
  ordered = np.sort(-scores, axis=1)
  own = np.diag(-scores)[:, np.newaxis]
  query, place = np.where((ordered - own) == 0)
  return query, place


def _product_and(
    peer: Peer, text: np.ndarray, video: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  return peer(text @ video.T)


def _median_seconds(functions: Sequence[Callable[[], object]]) -> list[float]:
  """The functions take turns."""
  seconds: list[list[float]] = [[] for _ in functions]
  for _ in range(_REPEATS.value):
    for times, function in zip(seconds, functions, strict=True):
      start = time.perf_counter()
      function()
      times.append(time.perf_counter() - start)
  return [float(np.median(times)) for times in seconds]


def _embeddings(count: int) -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(0)
  text = rng.standard_normal((count, _WIDTH.value), dtype=np.float32)
  video = rng.standard_normal((count, _WIDTH.value), dtype=np.float32)
  return text, video


def _peak_bytes() -> int:
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _blas() -> str:
  try:
    import threadpoolctl
  except ImportError:
    return "BLAS kernel not known (install threadpoolctl)"
  found = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
  return ", ".join(
      f"{pool['internal_api']} {pool.get('architecture')} on {pool['num_threads']} threads"
      for pool in found
  )


if __name__ == "__main__":
  app.run(main)
