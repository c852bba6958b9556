"""QVHighlights' metrics of moment retrieval and highlight detection (Lei et al., NeurIPS 2021)."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any, TypeAlias

from jaxtyping import Float
import numpy as np

from mla_jax.evals import average_precision, bootstrap, localisation
from mla_jax.evals.highlight_rows import Query, Row, read_queries

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
LEVELS = {"Fair": 2, "Good": 3, "VeryGood": 4}  # Least score of a positive clip.
LENGTHS = {"short": (0, 10), "middle": (10, 30), "long": (30, 150), "full": (0, np.inf)}  # Seconds.
_MOST_WINDOWS = 10

Brief: TypeAlias = dict[str, Float[np.ndarray, " n"]]  # Of the short names.


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
  found, brief = _measure(queries, official)
  videos = np.array([query.video for query in queries])
  means, interval = {}, {}
  for name, values in brief.items():
    asked = ~np.isnan(values)
    means[name] = float(values[asked].mean())
    interval[name] = bootstrap.mean_interval(
        values[asked, None], videos[asked], resamples=resamples, seed=seed
    )[0].tolist()
  return {"queries": len(queries)} | found | {"brief": means, "interval": interval}


def columns(
    predictions: Sequence[Row], truth: Sequence[Row], *, official: bool = False
) -> Brief:
  """What each query adds to the means of "brief" of `evaluate`, by their names.

  Arguments and errors as there; in the order of `truth`, NaN where a query has no true window of
  the metric's lengths.
  """
  return _measure(read_queries(predictions, truth), official)[1]


def rounded(metrics: Any) -> Any:
  """The numbers of `evaluate` with two digits, as the official code writes them."""
  if isinstance(metrics, Mapping):
    return {name: rounded(value) for name, value in metrics.items()}
  return float(f"{metrics:.2f}") if isinstance(metrics, float) else metrics


def _measure(queries: Sequence[Query], official: bool) -> tuple[dict[str, Any], Brief]:
  """The long names of `evaluate` with their means, and the columns of the short ones."""
  found: dict[str, Any] = {}
  brief: Brief = {}
  if queries[0].windows is not None:
    for name, lengths in LENGTHS.items():
      inside = [_of_length(query, *lengths) for query in queries]
      if any(len(query.truth) for query in inside):
        found[name] = _moments(name, inside, brief)
  if queries[0].scores is not None:
    for level, least in LEVELS.items():
      found[f"HL-min-{level}"] = _highlights(level, least, queries, official, brief)
  return found, brief


def _moments(name: str, queries: Sequence[Query], brief: Brief) -> dict[str, dict[str, float]]:
  """MR-mAP and MR-R1 of the queries with true windows; the short names' columns go into `brief`."""
  asked = np.array([len(query.truth) > 0 for query in queries])
  chosen = [query for query in queries if len(query.truth)]
  precision = 100.0 * np.stack([_window_precision(query) for query in chosen])
  recall = 100.0 * np.stack([_first_window_hits(query) for query in chosen])
  values = {f"MR-{name}-mAP": precision.mean(axis=1)}
  if name == "full":
    values |= {f"MR-full-mAP@{key}": precision[:, i] for key, i in (("0.5", 0), ("0.75", 5))}
    values |= {f"MR-full-R1@{key}": recall[:, i] for key, i in (("0.5", 0), ("0.7", 4))}
  for key, column in values.items():
    brief[key] = np.full(len(queries), np.nan)
    brief[key][asked] = column
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
    brief: Brief,
) -> dict[str, float]:
  functions: dict[str, Callable[[Query, int, bool], float]] = {
      "HL-mAP": _clip_precision, "HL-Hit1": _clip_hit
  }
  means = {}
  for name, function in functions.items():
    values = 100.0 * np.array([function(query, least, official) for query in queries])
    brief[f"HL-min-{level}-{name.removeprefix('HL-')}"] = values
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
