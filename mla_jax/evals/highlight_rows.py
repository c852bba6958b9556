"""QVHighlights' rows of predictions and of annotations, checked and joined."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from jaxtyping import Float
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import inputs

CLIP_SECONDS = 2

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Query:
  """One query.

  Attributes:
    video: the `vid` it is about.
    truth: `[G, 2]` s, its true windows, G >= 1.
    saliency: `[C, 3]`, what three annotators gave each clip of the video, 0 .. 4.
    windows: `[P, 3]`, predicted start, end, score; best first. None: not predicted.
    scores: `[S]`, predicted for each clip. None: not predicted.
  """

  video: str
  truth: Float[np.ndarray, "G 2"]
  saliency: Float[np.ndarray, "C 3"]
  windows: Float[np.ndarray, "P 3"] | None
  scores: Float[np.ndarray, " S"] | None


def read_queries(predictions: Sequence[Row], truth: Sequence[Row]) -> list[Query]:
  """The queries in the order of `truth`; arguments and errors as `highlights.evaluate`."""
  if not len(truth):
    raise UserError("evaluation: the split has no query: give the rows of an annotation file")
  predicted, wanted = _by_qid("predictions", predictions), _by_qid("truth", truth)
  different = sorted(predicted.keys() ^ wanted.keys(), key=str)
  if different:
    raise UserError(
        f"evaluation: {len(predicted)} queries predicted, {len(wanted)} in the split; qid "
        f"{different[0]!r} is in one alone ({len(different)} are): predict every query once"
    )
  queries = [_query(predicted[qid], row) for qid, row in wanted.items()]
  if queries[0].windows is None and queries[0].scores is None:
    raise UserError(
        "evaluation: nothing predicted: give pred_relevant_windows or pred_saliency_scores"
    )
  kinds = [(query.windows is None, query.scores is None) for query in queries]
  for qid, kind in zip(wanted, kinds, strict=True):
    if kind != kinds[0]:
      raise UserError(f"evaluation: qid {qid!r} predicts other things than the first query")
  return queries


def _by_qid(what: str, rows: Sequence[Row]) -> dict[Any, Row]:
  found: dict[Any, Row] = {}
  for number, row in enumerate(rows):
    if "qid" not in row or row["qid"] in found:
      raise UserError(
          f"evaluation: row {number} of the {what} has no qid of its own: give each query once"
      )
    found[row["qid"]] = row
  return found


def _query(predicted: Row, truth: Row) -> Query:
  qid = truth["qid"]
  try:
    clips = int(truth["duration"] / CLIP_SECONDS)
    saliency = np.zeros((clips, 3))
    saliency[np.array(truth["relevant_clip_ids"], np.int64)] = truth["saliency_scores"]
    true_windows = _numbers(truth["relevant_windows"], 2)
    video = str(truth["vid"])
  except (KeyError, TypeError, ValueError, IndexError) as error:
    raise UserError(
        f"evaluation: the annotation of qid {qid!r} is not usable ({error!r}): give the rows of a "
        "split whose annotations are public"
    ) from None
  try:
    windows = predicted.get("pred_relevant_windows")
    windows = None if windows is None else _numbers(windows, 3)
    scores = predicted.get("pred_saliency_scores")
    scores = None if scores is None else _numbers([[score] for score in scores], 1)[:, 0]
  except (TypeError, ValueError) as error:
    raise UserError(f"evaluation: the prediction of qid {qid!r} is not usable ({error})") from None
  if not len(true_windows) or (scores is not None and not len(scores)):
    raise UserError(f"evaluation: qid {qid!r} has no relevant window, or an empty list of scores")
  for name, values in (("windows", windows), ("saliency scores", scores)):
    if values is not None:
      inputs.finite(f"qid {qid!r}: {name}", values)
  return Query(video, true_windows, saliency, windows, scores)


def _numbers(rows: Sequence[Sequence[float]], width: int) -> Float[np.ndarray, "n width"]:
  if not len(rows):
    return np.zeros((0, width))
  found = np.array(rows, np.float64).reshape(len(rows), -1)
  if found.shape[1] != width:
    raise ValueError(f"{found.shape[1]} numbers where there must be {width}")
  return found
