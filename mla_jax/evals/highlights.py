"""QVHighlights' metrics of moment retrieval and highlight detection (Lei et al., NeurIPS 2021)."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

from jaxtyping import Float
import numpy as np

from mla_jax.evals import average_precision, bootstrap, localisation
from mla_jax.evals.highlight_rows import Query, Row, read_queries

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
LEVELS = {"Fair": 2, "Good": 3, "VeryGood": 4}  # Least score of a positive clip.
LENGTHS = {"short": (0, 10), "middle": (10, 30), "long": (30, 150), "full": (0, np.inf)}  # Seconds.
_MOST_WINDOWS = 10


def evaluate(
    predictions: Sequence[Row],
    truth: Sequence[Row],
    *,
    official: bool = False,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
  """All metrics of moment_detr:standalone_eval/eval.py, from rows of the official files.

  Windows are a ranking: the first is the one of R1, the first ten count, and their order decides
  between equal scores. The official code leaves a query without any window out of the mAP; here it
  counts as a miss. "short", "middle" and "long" hold the queries that have true windows of (0,
  10], (10, 30] and (30, 150] s, against those windows alone.

  Args:
    predictions: n rows with "qid" and "pred_relevant_windows" (lists of [start, end, score]) or
      "pred_saliency_scores" (one score a clip of 2 s) or both.
    truth: n rows with "qid", "vid", "duration", "relevant_windows", "relevant_clip_ids",
      "saliency_scores" (three annotators' 0 .. 4 for each relevant clip), in any order.
    official: score highlights as the official code does: of the clips that share the highest score
      the first is the hit, and a clip without a score has score 0. Otherwise such ties are broken
      at random, in expectation, and clips without a score come last.
    resamples, seed: of the bootstrap, which draws whole videos.

  Returns:
    A JSON-able dict in percent, unrounded: {"full", "short", "middle", "long"} {"MR-mAP": {"0.5",
    ..., "0.95", "average"}, "MR-R1": {"0.5", ...}}, {"HL-min-Fair", ...} {"HL-mAP", "HL-Hit1"},
    "brief" with the official short names, "interval" of the brief ones, and "queries". A length
    that no query has is left out.

  Raises:
    UserError: no query, other queries than those of `truth`, a row that lacks a key, or values
      that are not finite.
  """
  queries = read_queries(predictions, truth)
  found: dict[str, Any] = {"queries": len(queries)}
  brief: dict[str, tuple[np.ndarray, list[str]]] = {}
  if queries[0].windows is not None:
    for name, lengths in LENGTHS.items():
      chosen = [q for q in (_of_length(q, *lengths) for q in queries) if len(q.truth)]
      if chosen:
        found[name] = _moments(name, chosen, brief)
  if queries[0].scores is not None:
    for level, least in LEVELS.items():
      found[f"HL-min-{level}"] = _highlights(level, least, queries, official, brief)
  options = {"resamples": resamples, "seed": seed}
  return found | {
      "brief": {name: float(values.mean()) for name, (values, _) in brief.items()},
      "interval": {
          name: bootstrap.mean_interval(values[:, None], np.array(videos), **options)[0].tolist()
          for name, (values, videos) in brief.items()
      },
  }


def rounded(metrics: Any) -> Any:
  """The numbers of `evaluate` with two digits, as the official code writes them."""
  if isinstance(metrics, Mapping):
    return {name: rounded(value) for name, value in metrics.items()}
  return float(f"{metrics:.2f}") if isinstance(metrics, float) else metrics


def _moments(
    name: str, queries: Sequence[Query], brief: dict[str, tuple[np.ndarray, list[str]]]
) -> dict[str, dict[str, float]]:
  """MR-mAP and MR-R1 of the queries; their columns of the short names go into `brief`."""
  precision = 100.0 * np.stack([_window_precision(query) for query in queries])
  recall = 100.0 * np.stack([_first_window_hits(query) for query in queries])
  videos = [query.video for query in queries]
  brief[f"MR-{name}-mAP"] = (precision.mean(axis=1), videos)
  if name == "full":
    for key, column in (("0.5", 0), ("0.75", 5)):
      brief[f"MR-full-mAP@{key}"] = (precision[:, column], videos)
    for key, column in (("0.5", 0), ("0.7", 4)):
      brief[f"MR-full-R1@{key}"] = (recall[:, column], videos)
  keys = [str(threshold) for threshold in THRESHOLDS]
  return {
      "MR-mAP": dict(zip(keys, precision.mean(axis=0).tolist(), strict=True))
      | {"average": float(precision.mean())},
      "MR-R1": dict(zip(keys, recall.mean(axis=0).tolist(), strict=True)),
  }


def _highlights(
    level: str,
    least: int,
    queries: Sequence[Query],
    official: bool,
    brief: dict[str, tuple[np.ndarray, list[str]]],
) -> dict[str, float]:
  videos = [query.video for query in queries]
  columns: dict[str, Callable[[Query, int, bool], float]] = {
      "HL-mAP": _clip_precision, "HL-Hit1": _clip_hit
  }
  means = {}
  for name, function in columns.items():
    values = 100.0 * np.array([function(query, least, official) for query in queries])
    brief[f"HL-min-{level}-{name.removeprefix('HL-')}"] = (values, videos)
    means[name] = float(values.mean())
  return means


def _window_precision(query: Query) -> Float[np.ndarray, " t"]:
  assert query.windows is not None
  windows = query.windows[:_MOST_WINDOWS]
  return average_precision.of_windows(windows[:, :2], windows[:, 2], query.truth, THRESHOLDS)


def _first_window_hits(query: Query) -> Float[np.ndarray, " t"]:
  assert query.windows is not None
  first = query.windows[:1, :2]
  best = localisation.temporal_iou(first, query.truth).max() if len(first) else -1.0
  return (best >= np.array(THRESHOLDS)).astype(np.float64)


def _clip_precision(query: Query, least: int, official: bool) -> float:
  """The mean over the annotators."""
  assert query.scores is not None
  clips = len(query.saliency)
  last = 0.0 if official else query.scores.min(initial=0.0) - 1.0
  missing = np.full(max(0, clips - len(query.scores)), last)
  scores = np.append(query.scores, missing)[:clips]
  relevant = query.saliency >= least
  return float(np.mean([average_precision.of_clips(scores, column) for column in relevant.T]))


def _clip_hit(query: Query, least: int, official: bool) -> float:
  """Whether any annotator finds the best clip relevant; 0 for one behind the video's end."""
  assert query.scores is not None
  relevant = np.any(query.saliency >= least, axis=1)
  best = np.flatnonzero(query.scores == query.scores.max())
  best = best[:1] if official else best
  return float(np.mean([clip < len(relevant) and relevant[clip] for clip in best]))


def _of_length(query: Query, above: float, most: float) -> Query:
  length = query.truth[:, 1] - query.truth[:, 0]
  # Every query is in "full", which the official code does not filter.
  inside = (above < length) & (length <= most) | (most == np.inf)
  return dataclasses.replace(query, truth=query.truth[inside])
