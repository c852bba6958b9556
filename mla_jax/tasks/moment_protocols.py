"""From scored windows to the numbers of a localisation set, beside predictors that see nothing."""

from collections.abc import Sequence
import dataclasses
from typing import Any

from jaxtyping import Bool, Float
import numpy as np

from mla_jax.data.records import TextRecord
from mla_jax.errors import UserError
from mla_jax.evals import didemo, grounding, highlights, localisation
from mla_jax.evals.highlight_rows import CLIP_SECONDS

CHUNK_SECONDS = 5.0  # DiDeMo's.
_MOST = 10  # Windows kept of a query.


@dataclasses.dataclass(frozen=True)
class Proposals:
  """The scored windows of n queries.

  Attributes:
    windows: `[n, W, 2]` s.
    scores: `[n, W]`, higher is better.
    real: `[n, W]`, True = is there.
    end: `[n]` s, where the last frame ends.
    fixed: `[n, P]` scores of the protocol's own windows; P = 0 for "windows".
  """

  windows: Float[np.ndarray, "n W 2"]
  scores: Float[np.ndarray, "n W"]
  real: Bool[np.ndarray, "n W"]
  end: Float[np.ndarray, " n"]
  fixed: Float[np.ndarray, "n P"]

  def best(self, row: int, nms: float) -> Float[np.ndarray, "kept 3"]:
    """Start, end and score of the windows that stay, best first."""
    real = self.real[row]
    windows, scores = self.windows[row][real], self.scores[row][real]
    kept = localisation.non_maximum_suppression(windows, scores, nms, _MOST)
    return np.concatenate([windows[kept], scores[kept, None]], axis=1)


@dataclasses.dataclass(frozen=True)
class Found:
  """What a protocol says of n queries.

  Attributes:
    metrics: with those of the baselines.
    main: the number to select by.
    first: `[n, 2]` s, each query's first window.
    columns: metric -> `[n]`, whose mean it is; NaN where a query is none of the metric's.
  """

  metrics: dict[str, Any]
  main: float
  first: Float[np.ndarray, "n 2"]
  columns: dict[str, Float[np.ndarray, " n"]]


def fixed_windows(protocol: str, records: Sequence[TextRecord]) -> Float[np.ndarray, "P 2"]:
  """The windows in seconds that a protocol has scored for every query.

  DiDeMo's 21 moments; the clips of 2 s of QVHighlights' longest video; none of "windows".
  """
  if protocol == "didemo":
    return CHUNK_SECONDS * (np.array(didemo.MOMENTS, np.float32) + np.array([0, 1], np.float32))
  if protocol == "qvhighlights":
    clips = max(int(_known_duration(record) / CLIP_SECONDS) for record in records)
    start = CLIP_SECONDS * np.arange(clips, dtype=np.float32)
    return np.stack([start, start + CLIP_SECONDS], axis=1)
  return np.zeros((0, 2), np.float32)


def one_moment(
    records: Sequence[TextRecord], proposals: Proposals, nms: float, resamples: int
) -> Found:
  """Charades-STA, ActivityNet Captions: R@n, IoU >= m and mean IoU against the one true window."""
  for record in records:
    if len(record.moments) != 1:
      raise UserError(
          f"text {record.item_id} of {record.video_id}: has {len(record.moments)} moments, "
          "eval.moments='windows' takes one: set it to 'didemo', 'qvhighlights' or 'nextgqa'"
      )
  truth = np.array([record.moments[0] for record in records])
  clusters = np.array([record.video_id for record in records])

  def score(best: Sequence[np.ndarray]) -> dict[str, Any]:
    windows, scores, mask = _padded(best)
    return localisation.recall_at_iou(
        windows, scores, truth, mask=mask, clusters=clusters, resamples=resamples
    )

  best = [proposals.best(row, nms) for row in range(len(records))]
  metrics = score(best)
  blind = {
      name: score([np.append(window, 0.0)[None] for window in windows])
      for name, windows in baseline_windows(records, proposals).items()
  }
  first = np.array([windows[0, :2] for windows in best])
  windows, scores, mask = _padded(best)
  columns = localisation.columns(windows, scores, truth, mask=mask)
  return Found(metrics | {"baselines": blind}, float(metrics["mean_iou"]), first, columns)


def didemo_moments(
    records: Sequence[TextRecord], proposals: Proposals, nms: float, resamples: int
) -> Found:
  """DiDeMo: the 21 moments ranked, against all annotators; `nms` does nothing."""
  del nms  # The moments are candidates, not detections.
  times = [[_chunks(record, window) for window in record.moments] for record in records]
  moments = np.array(didemo.MOMENTS)
  ends = np.array([_known_duration(record) for record in records]) / CHUNK_SECONDS
  mask = moments[:, 1] < np.round(ends)[:, None]
  clusters = np.array([record.video_id for record in records])

  def score(scores: np.ndarray) -> dict[str, Any]:
    return didemo.accuracy(scores, times, mask=mask, clusters=clusters, resamples=resamples)

  metrics = score(proposals.fixed)
  blind = {}
  for name, windows in baseline_windows(records, proposals).items():
    chosen = CHUNK_SECONDS * (moments + np.array([0, 1]))
    blind[name] = score(localisation.temporal_iou(windows[:, None], chosen))
  best = np.where(mask, proposals.fixed, -np.inf).argmax(axis=1)
  first = CHUNK_SECONDS * (moments[best] + np.array([0, 1]))
  columns = didemo.columns(proposals.fixed, times, mask=mask)
  return Found(metrics | {"baselines": blind}, float(metrics["rank_at_1"]), first, columns)


def highlight_moments(
    records: Sequence[TextRecord], proposals: Proposals, nms: float, resamples: int
) -> Found:
  """QVHighlights: several true windows, and the saliency of every clip of 2 s."""
  truth = [_annotation(record) for record in records]
  clips = [int(_known_duration(record) / CLIP_SECONDS) for record in records]

  def predict(
      windows: Sequence[np.ndarray], saliency: Sequence[np.ndarray]
  ) -> list[dict[str, Any]]:
    return [
        {
            "qid": record.item_id,
            "pred_relevant_windows": found.tolist(),
            "pred_saliency_scores": scores.tolist(),
        }
        for record, found, scores in zip(records, windows, saliency, strict=True)
    ]

  best = [proposals.best(row, nms) for row in range(len(records))]
  rows = predict(best, [row[:count] for row, count in zip(proposals.fixed, clips, strict=True)])
  metrics = highlights.evaluate(rows, truth, resamples=resamples)
  nothing = [np.zeros(count) for count in clips]
  blind = {}
  for name, windows in baseline_windows(records, proposals).items():
    blind_rows = predict([np.append(window, 0.0)[None] for window in windows], nothing)
    blind[name] = highlights.evaluate(blind_rows, truth, resamples=resamples)
  first = np.array([windows[0, :2] for windows in best])
  main = float(metrics["brief"]["MR-full-mAP"])
  return Found(metrics | {"baselines": blind}, main, first, highlights.columns(rows, truth))


def _annotation(record: TextRecord) -> dict[str, Any]:
  """A row as of QVHighlights' files."""
  return {
      "qid": record.item_id,
      "vid": record.video_id,
      "duration": _known_duration(record),
      "relevant_windows": record.moments,
      "relevant_clip_ids": [clip for clip, *_ in record.saliency],
      "saliency_scores": [scores for _, *scores in record.saliency],
  }


def grounded_questions(
    records: Sequence[TextRecord], proposals: Proposals, nms: float, resamples: int
) -> Found:
  """NExT-GQA: the best window of a question, against the one of its moments that it meets best."""
  del nms  # One window is given.
  truth = [record.moments for record in records]
  clusters = np.array([record.video_id for record in records])

  def score(windows: np.ndarray) -> dict[str, Any]:
    return grounding.grounding(windows, truth, clusters=clusters, resamples=resamples)

  first = np.array([proposals.best(row, 1.0)[0, :2] for row in range(len(records))])
  blind = {
      name: score(windows) for name, windows in baseline_windows(records, proposals).items()
  }
  metrics = score(first)
  columns = grounding.columns(first, truth)
  return Found(metrics | {"baselines": blind}, float(metrics["mean_iou"]), first, columns)


PROTOCOLS = {
    "windows": one_moment,
    "didemo": didemo_moments,
    "qvhighlights": highlight_moments,
    "nextgqa": grounded_questions,
}


def baseline_windows(
    records: Sequence[TextRecord], proposals: Proposals
) -> dict[str, Float[np.ndarray, "n 2"]]:
  """What is said of each query without looking: all of its video, or the middle half of it."""
  stated = np.array([record.duration for record in records])
  duration = np.where(np.isnan(stated), proposals.end, stated)
  return {
      "whole_video": np.stack([np.zeros_like(duration), duration], axis=1),
      "middle": np.stack([0.25 * duration, 0.75 * duration], axis=1),
  }


def _padded(
    best: Sequence[Float[np.ndarray, "kept 3"]],
) -> tuple[Float[np.ndarray, "n P 2"], Float[np.ndarray, "n P"], Bool[np.ndarray, "n P"]]:
  """Windows, scores, and which of them are there."""
  padded = np.zeros((len(best), max(map(len, best)), 3))
  for row, windows in enumerate(best):
    padded[row, : len(windows)] = windows
  mask = np.arange(padded.shape[1]) < np.array([[len(windows)] for windows in best])
  return padded[..., :2], padded[..., 2], mask


def _known_duration(record: TextRecord) -> float:
  if np.isnan(record.duration):
    raise UserError(
        f"text {record.item_id} of {record.video_id}: its video's length is not in the annotations:"
        " set eval.moments='windows'"
    )
  return record.duration


def _chunks(record: TextRecord, window: tuple[float, float]) -> tuple[int, int]:
  start, end = (time / CHUNK_SECONDS for time in window)
  if start != round(start) or end != round(end):
    raise UserError(
        f"text {record.item_id} of {record.video_id}: {window[0]:g} to {window[1]:g} s are no "
        "chunks of 5 s: eval.moments='didemo' is for DiDeMo alone"
    )
  return round(start), round(end) - 1
