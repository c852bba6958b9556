"""Rescoring of retrieval with all queries of the split: dual softmax and Sinkhorn.

Both look at every query before they answer one, which no search engine can, so their numbers stand
in rows of their own, marked "uses_all_queries". Either way the score of a text and a video gets a
number of the text and a number of the video added: these are all that is kept, and the scores are
made a block of texts at a time. Memory: `retrieval.SCORE_BYTES` beside the embeddings or the matrix
that is given.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any, Literal, TypeAlias

from jaxtyping import Float, Int
import numpy as np

from mla_jax.errors import UserError, check_choice
from mla_jax.evals import inputs, retrieval

METHODS = ("dual_softmax", "sinkhorn")
# Scaled scores of texts start .. stop - 1 with every video.
_Rows: TypeAlias = Callable[[int, int], Float[np.ndarray, "q V"]]


@dataclasses.dataclass(frozen=True)
class Offsets:
  """What is added to scaled scores: `scale * score[q, v] + text[q] + video[v]`, float64."""

  text: Float[np.ndarray, " Q"]
  video: Float[np.ndarray, " V"]


def dual_softmax(
    scores: Float[np.ndarray, "Q V"], scale: float = 100.0
) -> Float[np.ndarray, "Q V"]:
  """log p(video | text) + log p(text | video), each a softmax of `scale` times the scores.

  The dual softmax of CAMoE (Cheng et al., arXiv:2109.04290), which multiplies the similarity
  itself by p(text | video): that turns the order of negative similarities around, so here both
  factors are probabilities. Adding a number to all scores changes nothing.

  Args:
    scores: `[Q, V]`, finite, higher is better; every text of the split with every video.
    scale: > 0, the factor of the trained softmax (exp of the model's log-scale).

  Raises:
    UserError: no score, NaN or infinity, or a scale that is not above 0.
  """
  result = _with_offsets(scores, "dual_softmax", scale, iterations=1)
  result *= 2.0
  return result


def sinkhorn(
    scores: Float[np.ndarray, "Q V"], scale: float = 100.0, iterations: int = 10
) -> Float[np.ndarray, "Q V"]:
  """Log of the transport plan between texts and videos after alternating normalisations.

  Sinkhorn and Knopp (1967), Cuturi (NIPS 2013), in logarithms. Every text carries the same mass
  and every video the same, whatever the number of captions: that number is not known of a query.

  Args:
    scores, scale: as in `dual_softmax`.
    iterations: normalisations of the columns and then of the rows, >= 1.

  Raises:
    UserError: as `dual_softmax`, or no iteration.
  """
  return _with_offsets(scores, "sinkhorn", scale, iterations)


def rescored(
    scores: Float[np.ndarray, "Q V"],
    owner: Int[np.ndarray, " Q"],
    *,
    methods: Sequence[str] = METHODS,
    scale: float = 100.0,
    iterations: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
  """Rows for both directions and each way of rescoring, to stand beside the plain ones.

  Args:
    scores, scale, iterations: as above; one matrix more of the scores' size is made.
    owner: `[Q]`, the video of each text (`retrieval.text_to_video_from_scores`).
    methods: of `METHODS`.
    resamples, seed: of the bootstrap.

  Returns:
    {"text_to_video_dual_softmax": `retrieval.summarise`'s numbers, "uses_all_queries": True and
    "scale", "video_to_text_dual_softmax": ..., "text_to_video_sinkhorn": ..., ...}

  Raises:
    UserError: as above, an owner that is no video, or an unknown method.
  """
  found: dict[str, dict[str, Any]] = {}
  for method in methods:
    changed = _with_offsets(scores, method, scale, iterations)
    ranks = (
        retrieval.text_to_video_from_scores(changed, owner),
        retrieval.video_to_text_from_scores(changed, owner),
    )
    found |= _summaries(method, ranks, scale, resamples, seed)
  return found


def rescored_embeddings(
    text: Float[np.ndarray, "Q E"],
    video: Float[np.ndarray, "V E"],
    owner: Int[np.ndarray, " Q"],
    *,
    methods: Sequence[str] = METHODS,
    scale: float = 100.0,
    iterations: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
  """`rescored` where the scores are inner products; they never exist all at once.

  An offset is one dimension more of an embedding. Equal videos, and equal texts, stay equal.

  Args:
    text, video, owner: as of `retrieval.text_to_video`.
    methods, scale, iterations, resamples, seed: as of `rescored`.
  """
  text, video, owner = retrieval.check_embeddings(text, video, owner)
  factor = text.dtype.type(_check_scale(scale))
  texts, text_of = retrieval.distinct(text)
  videos, video_of = retrieval.distinct(video)

  def rows(start: int, stop: int) -> Float[np.ndarray, "q V"]:
    return (texts[start:stop] * factor) @ videos.T

  found: dict[str, dict[str, Any]] = {}
  for method in methods:
    offsets = _offsets(
        method, rows, _counts(texts, text_of), _counts(videos, video_of), iterations
    )
    text_offset = offsets.text if text_of is None else offsets.text[text_of]
    video_offset = offsets.video if video_of is None else offsets.video[video_of]
    ones = [np.ones((len(side), 1), text.dtype) for side in (text, video)]
    a = np.hstack([text * factor, text_offset[:, None].astype(text.dtype), ones[0]])
    b = np.hstack([video, ones[1], video_offset[:, None].astype(text.dtype)])
    ranks = retrieval.text_to_video(a, b, owner), retrieval.video_to_text(a, b, owner)
    found |= _summaries(method, ranks, scale, resamples, seed)
  return found


def _summaries(
    method: str,
    ranks: tuple[retrieval.Ranks, retrieval.Ranks],
    scale: float,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
  return {
      f"{direction}_{method}": retrieval.summarise(rank, resamples=resamples, seed=seed)
      | {"uses_all_queries": True, "scale": float(scale)}
      for direction, rank in zip(("text_to_video", "video_to_text"), ranks, strict=True)
  }


def _with_offsets(
    scores: Float[np.ndarray, "Q V"], method: str, scale: float, iterations: int
) -> Float[np.ndarray, "Q V"]:
  """A new matrix: the scaled scores with their offsets."""
  plan = _scaled(scores, scale)
  texts, videos = (np.ones(size, np.int64) for size in plan.shape)
  offsets = _offsets(method, lambda start, stop: plan[start:stop], texts, videos, iterations)
  plan += offsets.text[:, None].astype(plan.dtype)
  plan += offsets.video.astype(plan.dtype)
  return plan


def _offsets(
    method: str,
    rows: _Rows,
    texts: Int[np.ndarray, " Q"],
    videos: Int[np.ndarray, " V"],
    iterations: int,
) -> Offsets:
  """The offsets of distinct texts and videos; `texts` and `videos` say how many are equal."""
  check_choice("rescoring", method, METHODS)
  if iterations < 1:
    raise UserError(f"rescoring: iterations={iterations}: give 1 or more, e.g. 10")
  many_texts, many_videos = np.log(texts), np.log(videos)
  if method == "dual_softmax":
    return Offsets(
        -0.5 * _log_sum(rows, many_videos, len(texts), axis=1),
        -0.5 * _log_sum(rows, many_texts, len(videos), axis=0),
    )
  text, video = np.zeros(len(texts)), np.zeros(len(videos))
  for _ in range(iterations):
    video = -_log_sum(rows, text + many_texts, len(videos), axis=0) - np.log(videos.sum())
    text = -_log_sum(rows, video + many_videos, len(texts), axis=1) - np.log(texts.sum())
  return Offsets(text, video)


def _log_sum(
    rows: _Rows, added: Float[np.ndarray, "..."], size: int, axis: Literal[0, 1]
) -> Float[np.ndarray, "..."]:
  """Log of the sum over the texts (axis 0, `[V]`) or videos (axis 1, `[Q]`) of exp(score + added).

  Args:
    rows: the scores.
    added: of each text (axis 0) or video (axis 1).
    size: of the result.
    axis: what is summed over.
  """
  found = np.full(size, -np.inf)
  texts, videos = (size, len(added)) if axis else (len(added), size)
  for start, stop in retrieval.blocks(texts, 3 * videos):  # The scores and two copies of them.
    block = rows(start, stop)
    more = added.astype(block.dtype)
    if axis:
      found[start:stop] = _logsumexp(block + more, axis=1)
    else:
      found = np.logaddexp(found, _logsumexp(block + more[start:stop, None], axis=0))
  return found


def _logsumexp(
    values: Float[np.ndarray, "q V"], axis: Literal[0, 1]
) -> Float[np.ndarray, "..."]:
  """Of each column (axis 0) or row (axis 1), float64; `values` is overwritten."""
  most = values.max(axis=axis, keepdims=True)
  values -= most
  np.exp(values, out=values)
  total = values.sum(axis=axis, dtype=np.float64)
  return most.squeeze(axis).astype(np.float64) + np.log(total)


def _counts(
    distinct: Float[np.ndarray, "u E"], place: Int[np.ndarray, " n"] | None
) -> Int[np.ndarray, " u"]:
  """How many rows each distinct one stands for (`retrieval.distinct`)."""
  return np.ones(len(distinct), np.int64) if place is None else np.bincount(place)


def _scaled(scores: Float[np.ndarray, "Q V"], scale: float) -> Float[np.ndarray, "Q V"]:
  """A new matrix of `scale` times the scores."""
  scores = inputs.array("scores", scores, "numbers", texts=None, videos=None)
  if not scores.size:
    raise UserError(f"rescoring: scores {scores.shape}: give [texts, videos], one of each or more")
  _check_scale(scale)
  wrong = np.flatnonzero(~np.isfinite(scores).all(axis=1))
  if len(wrong):
    raise UserError(
        f"rescoring: the scores of text {wrong[0]} are not finite ({len(wrong)} texts): evaluate a "
        "checkpoint from before the model diverged"
    )
  exact = scores.dtype if scores.dtype in (np.float32, np.float64) else np.dtype(np.float32)
  return (scores * exact.type(scale)).astype(exact, copy=False)


def _check_scale(scale: float) -> float:
  if not (np.isfinite(scale) and scale > 0):
    raise UserError(f"rescoring: scale={scale}: give the model's, above 0")
  return float(scale)
