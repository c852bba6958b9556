"""What two runs' dumps of the same examples say: differences, by type too, and what flipped."""

from collections.abc import Mapping, Sequence
import math
from typing import Any, TypeAlias

from jaxtyping import Float
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import paired
from mla_jax.evals.dumps import Row
from mla_jax.evals.retrieval import RECALLS

Pairs = Sequence[tuple[Row, Row]]
Values: TypeAlias = dict[str, Float[np.ndarray, " n"]]

# Of rows that state no "metrics": key -> the metric that is its mean, times what.
_MEANS = {
    "correct": ("accuracy", 100.0),
    "squared_error": ("mse", 1.0),
    "iou": ("mean_iou", 100.0),
}
# Keys of a rank and of its ties -> what stands before the names of its metrics.
_RANKS = {("rank", "ties"): "", ("video_rank", "video_ties"): "video_to_text_"}


def lower_is_better(name: str) -> bool:
  """Whether a metric is an error or a rank."""
  return name.startswith("mse") or name.endswith("mean_rank")


def compare(pairs: Pairs, *, resamples: int = 10_000, seed: int = 0) -> dict[str, Any]:
  """Paired differences (B minus A) of the metrics that the rows hold, whole videos drawn together.

  Args:
    pairs: n joined rows (`dumps.join`); what they hold: see `metric_values`. `video` is the
      cluster.
    resamples, seed: as in `paired.paired_difference`.

  Returns:
    A JSON-able dict: "examples", "videos", "metrics" {name: {"a", "b", "difference", "interval",
    "p_value", "examples"}}, the last being those the metric is a mean of, "not_compared", names of
    metrics that one run alone holds, "by_type" {type: {"examples", name: ...}} where rows have a
    type, and "flips" {"gained", "lost"}, the numbers of examples that B alone and that A alone has
    right.

  Raises:
    UserError: no metric in both, a value that is missing in some rows or in one run, or is not a
      finite number.
  """
  videos = np.array([str(row.get("video", row["id"])) for row, _ in pairs])
  values = metric_values([a for a, _ in pairs]), metric_values([b for _, b in pairs])
  shared = _shared(values, pairs)

  def differences(chosen: np.ndarray) -> dict[str, Any]:
    found = {}
    for name in shared:
      asked = chosen & ~np.isnan(values[0][name])
      if asked.any():
        a, b = (side[name][asked] for side in values)
        found[name] = _difference(a, b, videos[asked], resamples, seed)
    return found

  everything = np.ones(len(pairs), bool)
  gained, lost = flips(pairs)
  return {
      "examples": len(pairs),
      "videos": len(set(videos.tolist())),
      "metrics": differences(everything),
      "not_compared": sorted(values[0].keys() ^ values[1].keys()),
      "by_type": {
          name: {"examples": int(chosen.sum())} | differences(chosen)
          for name, chosen in _types(pairs).items()
      },
      "flips": {"gained": len(gained), "lost": len(lost)},
  }


def flips(pairs: Pairs) -> tuple[Pairs, Pairs]:
  """The examples that B alone has right, and those that A alone has right."""
  gained = [(a, b) for a, b in pairs if b.get("correct") and not a.get("correct")]
  lost = [(a, b) for a, b in pairs if a.get("correct") and not b.get("correct")]
  return gained, lost


def _types(pairs: Pairs) -> dict[str, np.ndarray]:
  """Which examples are of each type, the most frequent first."""
  if not any("type" in row for row, _ in pairs):
    return {}
  of_row = np.array([str(row.get("type", "")) for row, _ in pairs], dtype=object)
  names, sizes = np.unique(of_row, return_counts=True)
  return {str(names[i]): of_row == names[i] for i in np.argsort(-sizes, kind="stable")}


def _difference(
    a: np.ndarray, b: np.ndarray, videos: np.ndarray, resamples: int, seed: int
) -> dict[str, Any]:
  found = paired.paired_difference(a, b, videos, resamples, seed)
  means = {"a": float(a.mean()), "b": float(b.mean())}
  return means | found.to_json() | {"examples": len(a)}


def _shared(values: tuple[Values, Values], pairs: Pairs) -> list[str]:
  """The metrics of both runs, each of the same examples in both."""
  names = [name for name in values[0] if name in values[1]]
  if not names:
    raise UserError(
        f"the runs hold different metrics: {', '.join(values[0]) or 'none'} in A, "
        f"{', '.join(values[1]) or 'none'} in B: compare evaluations of the same task"
    )
  for name in names:
    other = np.flatnonzero(np.isnan(values[0][name]) != np.isnan(values[1][name]))
    if len(other):
      raise UserError(
          f"example {pairs[other[0]][0]['id']!r} has {name} in one run alone: evaluate both on the "
          "same prepared dataset"
      )
  return names


def metric_values(rows: Sequence[Row]) -> Values:
  """The values of a dump's rows whose means are the run's metrics.

  Args:
    rows: with "metrics", {name: value} in the metric's own unit, as every task but retrieval
      writes them; or with `rank` (and `ties`, how many others share the score), a query of
      retrieval, and on one row a video `video_rank` and `video_ties`, the video's own search; or
      with `correct`, `squared_error`, `iou`.

  Returns:
    Name -> `[n]`: of ranks recall at 1, 5 and 10 in percent and the mean rank, those of videos
    under "video_to_text_..."; of the last three "accuracy", "mse", "mean_iou". NaN where an example
    is none of the metric's.

  Raises:
    UserError: a value is missing in some rows, or is not a finite number.
  """
  if any("metrics" in row for row in rows):
    return _stated(rows)
  ranks: Values = {}
  for keys, prefix in _RANKS.items():
    if any(keys[0] in row for row in rows):
      ranks |= {prefix + name: values for name, values in _retrieval(rows, *keys).items()}
  if ranks:
    return ranks
  several = [row["id"] for row in rows if "iou" in row and len(row.get("moments") or ()) > 1]
  if several:
    raise UserError(
        f"example {several[0]!r} has several moments and one iou, of which no protocol takes the "
        "mean: evaluate the run again"
    )
  return {
      name: scale * _column(rows, key)
      for key, (name, scale) in _MEANS.items()
      if any(key in row for row in rows)
  }


def _stated(rows: Sequence[Row]) -> Values:
  """What rows say under "metrics"; a metric that a row does not name is none of its."""
  for row in rows:
    if not isinstance(row.get("metrics"), dict):
      raise UserError(f"example {row['id']!r} has no metrics: evaluate the run again")
  names = dict.fromkeys(name for row in rows for name in row["metrics"])
  named = [row["metrics"] | {"id": row["id"]} for row in rows]
  return {name: _column(named, name, optional=True) for name in names}


def _retrieval(rows: Sequence[Row], rank_key: str, ties_key: str) -> Values:
  """A rank of a tie is the middle one of `ties` + 1 places, each as likely (`retrieval.Ranks`)."""
  rank = _column(rows, rank_key, optional=rank_key != "rank")
  tied = any(ties_key in row for row in rows)
  ties = _column(rows, ties_key, optional=ties_key != "ties") if tied else np.zeros(len(rows))
  greater = rank - 1.0 - 0.5 * ties
  recalls = {
      f"recall_at_{k}": 100.0 * np.clip((k - greater) / (ties + 1.0), 0.0, 1.0) for k in RECALLS
  }
  return recalls | {"mean_rank": rank}


def _column(
    rows: Sequence[Mapping[str, Any]], key: str, *, optional: bool = False
) -> Float[np.ndarray, " n"]:
  """The numbers of a key; with `optional` NaN where a row has no such key."""
  for row in rows:
    if optional and key not in row:
      continue
    value = row.get(key)
    if not isinstance(value, bool | int | float) or not math.isfinite(value):
      raise UserError(
          f"example {row['id']!r} has {key}={value!r}, not a finite number: evaluate the run again"
      )
  return np.array([float(row.get(key, np.nan)) for row in rows])
