"""Rescoring of a retrieval matrix with all queries of the split: dual softmax and Sinkhorn.

Both look at every query before they answer one, which no search engine can, so their numbers stand
in rows of their own, marked "uses_all_queries". Memory: the scores and one or two matrices more of
their size (float32 unless the scores have more).
"""

from typing import Any, Literal

from jaxtyping import Float, Int
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import retrieval


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
  scaled = _scaled(scores, scale)
  result = 2.0 * scaled
  result -= _logsumexp(scaled, axis=1)
  result -= _logsumexp(scaled, axis=0)
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
  if iterations < 1:
    raise UserError(f"rescoring: iterations={iterations}: give 1 or more, e.g. 10")
  plan = _scaled(scores, scale)
  texts, videos = plan.shape
  for _ in range(iterations):
    plan -= _logsumexp(plan, axis=0) + plan.dtype.type(np.log(videos))
    plan -= _logsumexp(plan, axis=1) + plan.dtype.type(np.log(texts))
  return plan


def rescored(
    scores: Float[np.ndarray, "Q V"],
    owner: Int[np.ndarray, " Q"],
    *,
    scale: float = 100.0,
    iterations: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
  """Rows for both directions and both ways of rescoring, to stand beside the plain ones.

  Args:
    scores, scale, iterations: as above.
    owner: `[Q]`, the video of each text (`retrieval.text_to_video_from_scores`).
    resamples, seed: of the bootstrap.

  Returns:
    {"text_to_video_dual_softmax": `retrieval.summarise`'s numbers and "uses_all_queries": True,
    "video_to_text_dual_softmax": ..., "text_to_video_sinkhorn": ..., "video_to_text_sinkhorn": ...}

  Raises:
    UserError: as above, or an owner that is no video.
  """
  directions = {
      "text_to_video": retrieval.text_to_video_from_scores,
      "video_to_text": retrieval.video_to_text_from_scores,
  }
  found = {}
  for name in ("dual_softmax", "sinkhorn"):
    changed = (
        dual_softmax(scores, scale) if name == "dual_softmax" else
        sinkhorn(scores, scale, iterations)
    )
    for direction, rank in directions.items():
      summary = retrieval.summarise(rank(changed, owner), resamples=resamples, seed=seed)
      found[f"{direction}_{name}"] = summary | {"uses_all_queries": True}
  return found


def _scaled(scores: Float[np.ndarray, "Q V"], scale: float) -> Float[np.ndarray, "Q V"]:
  """A new matrix of `scale` times the scores."""
  scores = np.asarray(scores)
  if scores.ndim != 2 or not scores.size:
    raise UserError(f"rescoring: scores {scores.shape}: give [texts, videos], one of each or more")
  if not (np.isfinite(scale) and scale > 0):
    raise UserError(f"rescoring: scale={scale}: give the model's, above 0")
  wrong = np.flatnonzero(~np.isfinite(scores).all(axis=1))
  if len(wrong):
    raise UserError(
        f"rescoring: the scores of text {wrong[0]} are not finite ({len(wrong)} texts): evaluate a "
        "checkpoint from before the model diverged"
    )
  exact = scores.dtype if scores.dtype in (np.float32, np.float64) else np.dtype(np.float32)
  return (scores * exact.type(scale)).astype(exact, copy=False)


def _logsumexp(
    values: Float[np.ndarray, "Q V"], axis: Literal[0, 1]
) -> Float[np.ndarray, "..."]:
  """Of each column (axis 0, `[1, V]`) or row (axis 1, `[Q, 1]`)."""
  most = values.max(axis=axis, keepdims=True)
  total = np.exp(values - most).sum(axis=axis, keepdims=True, dtype=np.float64)
  return most + np.log(total).astype(values.dtype)
