"""DiDeMo's localisation: 21 candidate moments, several annotators, of whom the best three count."""

from collections.abc import Sequence
import itertools
from typing import Any

from jaxtyping import Bool, Float, Int, Shaped
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap, inputs, localisation

CHUNKS = 6
# Each (first, last) chunk of five seconds, both inclusive, in the order of
# LocalizingMoments:utils/data_processing.py.
MOMENTS: tuple[tuple[int, int], ...] = (
    *((chunk, chunk) for chunk in range(CHUNKS)),
    *itertools.combinations(range(CHUNKS), 2),
)
_PLACE: dict[tuple[int, ...], int] = {moment: i for i, moment in enumerate(MOMENTS)}
_NAMES = ("rank_at_1", "rank_at_5", "mean_iou")
_COUNTED = 3  # Annotators.
_TIE_BREAKS = 100  # Random orders that stand for equal scores.


def accuracy(
    scores: Float[np.ndarray, "n 21"],
    times: Sequence[Sequence[Sequence[int]]],
    *,
    mask: Bool[np.ndarray, "n 21"] | None = None,
    clusters: Shaped[np.ndarray, " n"] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
  """Rank@1, Rank@5 and mean IoU, each over the three annotators that agree best.

  Hendricks et al., ICCV 2017; LocalizingMoments:utils/eval.py. A sentence counts at Rank@k if the
  mean of the three smallest ranks of its annotated moments is at most k; its IoU is the mean of
  the three largest IoUs with the first moment. Equal scores are ranked at random, many times over
  (seeded), and the mean counts; without equal scores the numbers are the official ones.

  Args:
    scores: `[n, 21]`, one for each of `MOMENTS`, higher is better.
    times: n lists of annotated (first, last) chunks, inclusive; 4 annotators, at times up to 7.
    mask: `[n, 21]`, True = inside the video; the others rank last. None: all are.
    clusters: `[n]`, the video of each sentence; intervals draw whole videos. None: each by itself.
    resamples, seed: of the bootstrap; `seed` also orders equal scores.

  Returns:
    A JSON-able dict: "rank_at_1", "rank_at_5", "mean_iou" in percent, "sentences", and "interval"
    {name: [low, high]} (95 %).

  Raises:
    UserError: no sentence, shapes that do not fit, NaN, or a moment that is none of `MOMENTS`.
  """
  values = columns(scores, times, mask=mask, seed=seed)
  clusters = inputs.clusters_of(clusters, len(times))
  means, interval = bootstrap.named_means(values, clusters, resamples=resamples, seed=seed)
  return {**means, "sentences": len(times), "interval": interval}


def columns(
    scores: Float[np.ndarray, "n 21"],
    times: Sequence[Sequence[Sequence[int]]],
    *,
    mask: Bool[np.ndarray, "n 21"] | None = None,
    seed: int = 0,
) -> dict[str, Float[np.ndarray, " n"]]:
  """What each sentence adds to the means of `accuracy`, by their names; arguments as there."""
  scores = _check(scores, mask)
  inputs.check_lengths(len(scores), "sentence", times=times)
  annotated = [_places(row, moments) for row, moments in enumerate(times)]
  values = 100.0 * _values(scores, annotated, np.random.default_rng(seed))
  return dict(zip(_NAMES, values.T, strict=True))


def moment_iou() -> Float[np.ndarray, "21 21"]:
  """IoU of each moment with each."""
  windows = np.array(MOMENTS) + np.array([0, 1])
  return localisation.temporal_iou(windows[:, None], windows)


def _values(
    scores: Float[np.ndarray, "n 21"],
    annotated: Sequence[Int[np.ndarray, " a"]],
    rng: np.random.Generator,
) -> Float[np.ndarray, "n 3"]:
  iou = moment_iou()
  tied = np.array([len(set(row)) < len(row) for row in scores.tolist()])
  values = np.empty((len(scores), len(_NAMES)))
  for row, places in enumerate(annotated):
    draws = rng.random((_TIE_BREAKS if tied[row] else 1, len(MOMENTS)))
    order = np.lexsort((draws, np.broadcast_to(-scores[row], draws.shape)), axis=-1)
    rank = np.argsort(order, axis=-1)[:, places] + 1
    mean_rank = np.sort(rank, axis=1)[:, :_COUNTED].mean(axis=1)
    overlaps = np.sort(iou[order[:, 0]][:, places], axis=1)[:, -_COUNTED:]
    values[row] = np.mean(mean_rank <= 1), np.mean(mean_rank <= 5), overlaps.mean()
  return values


def _places(row: int, moments: Sequence[Sequence[int]]) -> Int[np.ndarray, " a"]:
  """Where the annotated moments stand among `MOMENTS`."""
  try:
    found = [_PLACE.get(tuple(moment)) for moment in moments]
  except TypeError:  # A number in the place of a pair.
    found = []
  if not found or None in found:
    raise UserError(
        f"evaluation: sentence {row} has the times {moments!r}: give one (first, last) chunk "
        f"of 0 .. {CHUNKS - 1} an annotator"
    )
  return np.array(found, np.int64)


def _check(
    scores: Float[np.ndarray, "n 21"], mask: Bool[np.ndarray, "n 21"] | None
) -> Float[np.ndarray, "n 21"]:
  inputs.check_lengths(len(scores), "sentence")
  scores = inputs.array("scores", scores, "numbers", sentences=None, moments=len(MOMENTS))
  mask = inputs.mask_of(mask, sentences=len(scores), moments=len(MOMENTS))
  return np.where(mask, inputs.finite("scores", np.where(mask, scores, 0.0)), -np.inf)
