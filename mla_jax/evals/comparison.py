"""What two runs' dumps of the same examples say: differences, by type too, and what flipped."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import paired
from mla_jax.evals.dumps import Row
from mla_jax.evals.retrieval import RECALLS

Pairs = Sequence[tuple[Row, Row]]

# Key of a row -> the metric that is its mean, times what.
_MEANS = {
    "correct": ("accuracy", 100.0),
    "squared_error": ("mse", 1.0),
    "iou": ("mean_iou", 100.0),
}
LOWER_IS_BETTER = ("mean_rank", "mse")


def compare(pairs: Pairs, *, resamples: int = 10_000, seed: int = 0) -> dict[str, Any]:
  """Paired differences (B minus A) of the metrics that the rows hold, whole videos drawn together.

  Args:
    pairs: n joined rows (`dumps.join`). A row with `rank` is a retrieval query: recall at 1, 5 and
      10 in percent and the mean rank; else `correct`, `squared_error` and `iou` give "accuracy",
      "mse" and "mean_iou". `video` is the cluster.
    resamples, seed: as in `paired.paired_difference`.

  Returns:
    A JSON-able dict: "examples", "videos", "metrics" {name: {"a", "b", "difference", "interval",
    "p_value"}}, "by_type" {type: {"examples", name: ...}} where rows have a type, and "flips"
    {"gained", "lost"}, the numbers of examples that B alone and that A alone has right.

  Raises:
    UserError: a metric's value is missing in some rows, or is not a finite number.
  """
  videos = np.array([str(row.get("video", row["id"])) for row, _ in pairs])
  values = metric_values([a for a, _ in pairs]), metric_values([b for _, b in pairs])
  if not values[0] or values[0].keys() != values[1].keys():
    raise UserError(
        f"the runs hold different metrics: {', '.join(values[0]) or 'none'} in A, "
        f"{', '.join(values[1]) or 'none'} in B: compare evaluations of the same task"
    )

  def differences(chosen: np.ndarray) -> dict[str, Any]:
    return {
        name: _difference(
            values[0][name][chosen], values[1][name][chosen], videos[chosen], resamples, seed
        )
        for name in values[0]
    }

  everything = np.ones(len(pairs), bool)
  gained, lost = flips(pairs)
  return {
      "examples": len(pairs),
      "videos": len(set(videos.tolist())),
      "metrics": differences(everything),
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
  return {"a": float(a.mean()), "b": float(b.mean())} | found.to_json()


def metric_values(rows: Sequence[Row]) -> dict[str, Float[np.ndarray, " n"]]:
  """The values of a dump's rows whose means are the run's metrics, `[n]` each; see `compare`."""
  if any("rank" in row for row in rows):
    return _retrieval(rows)
  return {
      name: scale * _column(rows, key)
      for key, (name, scale) in _MEANS.items()
      if any(key in row for row in rows)
  }


def _retrieval(rows: Sequence[Row]) -> dict[str, Float[np.ndarray, " n"]]:
  """A rank of a tie is the middle one of `ties` + 1 places, each as likely (`retrieval.Ranks`)."""
  rank = _column(rows, "rank")
  ties = _column(rows, "ties") if any("ties" in row for row in rows) else np.zeros(len(rows))
  greater = rank - 1.0 - 0.5 * ties
  recalls = {
      f"recall_at_{k}": 100.0 * np.clip((k - greater) / (ties + 1.0), 0.0, 1.0) for k in RECALLS
  }
  return recalls | {"mean_rank": rank}


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> Float[np.ndarray, " n"]:
  for row in rows:
    if not isinstance(row.get(key), bool | int | float):
      raise UserError(
          f"example {row['id']!r} has {key}={row.get(key)!r}, not a number: evaluate the run again"
      )
  return np.array([float(row[key]) for row in rows])
