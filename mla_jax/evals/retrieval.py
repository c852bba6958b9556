"""Text-video retrieval in both directions: exact, fair to ties, in bounded memory.

The embedding of item i of a side is row i. `owner[q]` is the video that text q describes; a video
may own many texts (MSVD: 18 to 81), one, or none.
"""

from collections.abc import Callable, Iterator
import dataclasses
import hashlib
from typing import Any

from jaxtyping import Float, Int
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap, inputs

RECALLS = (1, 5, 10)
# Bytes of scores that exist at once. More rows at a time make a matrix product faster: each product
# first copies the whole gallery into the order its kernel wants.
SCORE_BYTES = 512 << 20

# Scores of queries start .. stop - 1 against the whole gallery.
ScoreRows = Callable[[int, int], Float[np.ndarray, "q gallery"]]


@dataclasses.dataclass(frozen=True)
class Ranks:
  """Where each query found its target.

  Attributes:
    greater: `[Q]`, gallery items that score strictly higher than the target.
    ties: `[Q]`, other gallery items that score exactly as the target.
    video: `[Q]`, the video a query belongs to (text to video) or is (video to text).
    gallery: how many items each query was compared with.
  """

  greater: Int[np.ndarray, " Q"]
  ties: Int[np.ndarray, " Q"]
  video: Int[np.ndarray, " Q"]
  gallery: int

  @property
  def rank(self) -> Float[np.ndarray, " Q"]:
    """The expected rank when ties are broken at random; 1 = best."""
    return 1.0 + self.greater + 0.5 * self.ties

  def recall_at(self, k: int) -> Float[np.ndarray, " Q"]:
    """The probability, in [0, 1], that the target is among the first k when ties break at random.

    Equal scores throughout give exactly k / gallery.
    """
    return np.clip((k - self.greater) / (self.ties + 1.0), 0.0, 1.0)


def text_to_video(
    text: Float[np.ndarray, "Q E"], video: Float[np.ndarray, "V E"], owner: Int[np.ndarray, " Q"]
) -> Ranks:
  """Ranks every video for every text, by inner product.

  Args:
    text, video: finite embeddings. Equal videos score equally, to the bit.
    owner: the video of each text, 0 .. V - 1. Videos without a text only distract.

  Raises:
    UserError: nothing to rank, shapes that do not fit, an owner that is no video, NaN or infinity.
  """
  text, video, owner = check_embeddings(text, video, owner)
  gallery, place = distinct(video)

  def rows(start: int, stop: int) -> Float[np.ndarray, "q V"]:
    return _spread(text[start:stop] @ gallery.T, place)

  return _rank(rows, owner, len(video), row_floats=len(video), video=owner)


def video_to_text(
    text: Float[np.ndarray, "Q E"],
    video: Float[np.ndarray, "V E"],
    owner: Int[np.ndarray, " Q"],
    distractors: Float[np.ndarray, "D E"] | None = None,
) -> Ranks:
  """Ranks every video's group of texts for every video that has one, by the group's best text.

  The multi-caption protocol of CLIP4Clip (Luo et al. 2021) and X-Pool: the score of a group is
  the maximum over its texts, and a video looks for its own group among all groups. With one text
  a video this is plain retrieval. Arguments and errors as in `text_to_video`; each of the
  `distractors` is a text of no video and stands in the gallery beside the groups.
  """
  text, video, owner = check_embeddings(text, video, owner)
  groups = _Groups(owner)
  every = text
  if distractors is not None and len(distractors):
    extra, _, _ = check_embeddings(distractors, video, np.zeros(len(distractors), int))
    every = np.concatenate([text, extra])
  gallery, place = distinct(every)

  def rows(start: int, stop: int) -> Float[np.ndarray, "q G"]:
    scores = _spread(video[groups.video[start:stop]] @ gallery.T, place)
    return groups.best_and_others(scores)

  return groups.rank(rows, len(every))


def text_to_video_from_scores(
    scores: Float[np.ndarray, "Q V"], owner: Int[np.ndarray, " Q"]
) -> Ranks:
  """As `text_to_video`, from a matrix of scores; higher is better, any sign, no NaN."""
  scores, owner = _check_scores(scores, owner)

  def rows(start: int, stop: int) -> Float[np.ndarray, "q V"]:
    return scores[start:stop]

  return _rank(rows, owner, scores.shape[1], row_floats=scores.shape[1], video=owner)


def video_to_text_from_scores(
    scores: Float[np.ndarray, "Q V"],
    owner: Int[np.ndarray, " Q"],
    distractors: Float[np.ndarray, "D V"] | None = None,
) -> Ranks:
  """As `video_to_text`, from the same matrix of scores as `text_to_video_from_scores`."""
  scores, owner = _check_scores(scores, owner)
  groups = _Groups(owner)
  every = scores
  if distractors is not None and len(distractors):
    inputs.array("distractors", distractors, "numbers", texts=None, videos=scores.shape[1])
    extra, _ = _check_scores(distractors, np.zeros(len(distractors), int))
    every = np.concatenate([scores, extra])

  def rows(start: int, stop: int) -> Float[np.ndarray, "q G"]:
    return groups.best_and_others(every[:, groups.video[start:stop]].T)

  return groups.rank(rows, len(every))


def summarise(
    ranks: Ranks, *, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, Any]:
  """The usual numbers with bootstrap intervals that draw whole videos.

  Returns:
    A JSON-able dict: "recall_at_1", "recall_at_5", "recall_at_10" in percent, "median_rank",
    "mean_rank" (1 = best), "queries", "gallery", and "interval" {name: [low, high]} for the five.
  """
  rank = ranks.rank
  columns = {f"recall_at_{k}": 100.0 * ranks.recall_at(k) for k in RECALLS} | {"mean_rank": rank}
  options: dict[str, Any] = {"resamples": resamples, "seed": seed, "confidence": confidence}
  means, intervals = bootstrap.named_means(columns, ranks.video, **options)
  median = bootstrap.median_interval(rank, ranks.video, **options).tolist()
  return means | {
      "median_rank": float(np.median(rank)),
      "queries": len(rank),
      "gallery": ranks.gallery,
      "interval": intervals | {"median_rank": median},
  }


class _Groups:
  """The texts of each video that has any, videos ascending; then texts of no video."""

  def __init__(self, owner: Int[np.ndarray, " Q"]) -> None:
    self._order = np.argsort(owner, kind="stable")
    self.video, self._start = np.unique(owner[self._order], return_index=True)
    self._in_order = bool(np.all(self._order[1:] > self._order[:-1]))

  def best_and_others(self, scores: Float[np.ndarray, "q every"]) -> Float[np.ndarray, "q G"]:
    """The maximum over each group's texts, and the scores of the texts behind them."""
    own, others = scores[:, : len(self._order)], scores[:, len(self._order) :]
    if not self._in_order:
      own = own[:, self._order]
    best = np.maximum.reduceat(own, self._start, axis=1)
    return np.concatenate([best, others], axis=1) if others.shape[1] else best

  def rank(self, rows: ScoreRows, texts: int) -> Ranks:
    """Each video looks for its own group among all groups and what is behind them."""
    count = len(self.video)
    gallery = count + texts - len(self._order)
    return _rank(rows, np.arange(count), gallery, texts, video=self.video)


def _rank(
    rows: ScoreRows,
    target: Int[np.ndarray, " Q"],
    gallery: int,
    row_floats: int,
    video: Int[np.ndarray, " Q"],
) -> Ranks:
  """Counts, block by block of queries, what scores above the target and what ties with it."""
  greater = np.empty(len(target), np.int64)
  ties = np.empty(len(target), np.int64)
  for start, stop in blocks(len(target), row_floats):
    for query, row in enumerate(rows(start, stop), start=start):
      greater[query], ties[query] = _count(query, row, row[target[query]])
  return Ranks(greater=greater, ties=ties, video=video, gallery=gallery)


def _count(query: int, row: Float[np.ndarray, " gallery"], own: float) -> tuple[int, int]:
  """How many other scores are above `own`, and how many equal: no sort, and inside the cache."""
  if np.isnan(row.max()):  # The maximum hands a NaN on.
    raise UserError(
        f"retrieval scores: query {query} has a NaN: evaluate a checkpoint from before the model "
        "diverged"
    )
  return int(np.count_nonzero(row > own)), int(np.count_nonzero(row == own)) - 1


def blocks(rows: int, row_floats: int) -> Iterator[tuple[int, int]]:
  most = max(1, SCORE_BYTES // (8 * row_floats))
  for start in range(0, rows, most):
    yield start, min(start + most, rows)


def distinct(
    rows: Float[np.ndarray, "n E"],
) -> tuple[Float[np.ndarray, "u E"], Int[np.ndarray, " n"] | None]:
  """The distinct rows, and where each row is among them; None = all rows differ.

  A matrix product may round equal columns differently, depending on where they stand. Scoring
  each distinct row once keeps ties exact, so that a collapsed model gets chance and no more.
  """
  seen: dict[bytes, int] = {}
  first: list[int] = []
  place = np.empty(len(rows), np.int64)
  for i, row in enumerate(rows):
    digest = hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest()  # -0 becomes 0.
    if digest not in seen:
      seen[digest] = len(first)
      first.append(i)
    place[i] = seen[digest]
  return (rows, None) if len(first) == len(rows) else (rows[first], place)


def _spread(
    scores: Float[np.ndarray, "q u"], place: Int[np.ndarray, " n"] | None
) -> Float[np.ndarray, "q n"]:
  return scores if place is None else scores[:, place]


def check_embeddings(
    text: Float[np.ndarray, "Q E"], video: Float[np.ndarray, "V E"], owner: Int[np.ndarray, " Q"]
) -> tuple[Float[np.ndarray, "Q E"], Float[np.ndarray, "V E"], Int[np.ndarray, " Q"]]:
  video = _floats("videos", video, videos=None, width=None)
  text = _floats("texts", text, texts=None, width=video.shape[1])
  for name, rows in (("text", text), ("video", video)):
    wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(wrong):
      raise UserError(
          f"retrieval: the embedding of {name} {wrong[0]} is not finite ({len(wrong)} of "
          f"{len(rows)} are not): evaluate a checkpoint from before the model diverged"
      )
  return text, video, _check_owner(owner, len(text), len(video))


def _check_scores(
    scores: Float[np.ndarray, "Q V"], owner: Int[np.ndarray, " Q"]
) -> tuple[Float[np.ndarray, "Q V"], Int[np.ndarray, " Q"]]:
  scores = _floats("scores", scores, texts=None, videos=None)
  return scores, _check_owner(owner, *scores.shape)


def _check_owner(owner: Int[np.ndarray, " Q"], texts: int, videos: int) -> Int[np.ndarray, " Q"]:
  if not texts or not videos:
    raise UserError(
        f"retrieval: the split has {texts} texts and {videos} videos: choose another one with "
        "--config.data.eval_split"
    )
  owner = inputs.array("owners", owner, "integers", texts=texts)
  wrong = np.flatnonzero((owner < 0) | (owner >= videos))
  if len(wrong):
    raise UserError(
        f"retrieval: text {wrong[0]} belongs to video {owner[wrong[0]]}, but there are {videos} "
        "videos: give indices of the videos that are ranked"
    )
  return owner.astype(np.int64)


def _floats(
    name: str, values: Float[np.ndarray, "..."], **axes: int | None
) -> Float[np.ndarray, "..."]:
  """Float32 unless the values have more; half floats would make ties out of rounding."""
  values = inputs.array(name, values, "numbers", **axes)
  return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)
