"""Text-video retrieval: alignment is the task's own loss, the embeddings are the index.

The score of a text and a video is a weighted mean: of the cosine of their global embeddings
(`eval.global_score`), of that of the regressor's guess (`eval.regression_score`) and of their
segments' latent score (`eval.segment_score`). The ways of rescoring that `eval.rescoring` names get
rows of their own; the main score knows nothing of them.
"""

from collections.abc import Callable
import dataclasses
import functools
import math
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from mla_jax.data import pipeline, probes
from mla_jax.data.examples import NOTHING_MORE
from mla_jax.data.reader import Reader
from mla_jax.data.sources import Texts
from mla_jax.errors import UserError
from mla_jax.evals import rescoring, retrieval
from mla_jax.models.mla import MLA, Embeddings, Encoded
from mla_jax.tasks import segment_scores
from mla_jax.tasks.alignment import LossSettings, align
from mla_jax.tasks.base import (
    Batch,
    Evaluate,
    Evaluation,
    Metrics,
    Params,
    Sizes,
    Task,
    with_video_only,
)
from mla_jax.tasks.collect import collect
from mla_jax.tasks.encode import apply, encode_text, encode_video

Pair: TypeAlias = tuple[Embeddings, Embeddings]  # Videos, texts.
_SHOWN = 200  # Rows and columns of the similarity matrix kept for the report.


@dataclasses.dataclass(frozen=True)
class Retrieval(Task):
  """Trains both encoders to align; finds videos by text and texts by video."""

  losses: LossSettings
  sizes: Sizes
  wanted = NOTHING_MORE

  @classmethod
  def from_config(cls, config: ConfigDict) -> "Retrieval":
    """Raises UserError for a model without video, or where a score that ranks is not trained."""
    if not config.model.use_video:
      raise UserError("model.use_video=False: retrieval needs the video; QA alone can do without")
    losses, sizes = LossSettings.from_config(config.loss), Sizes.from_config(config)
    _check_trained(losses, sizes, regresses=config.model.video.regressor_hidden > 0)
    return cls(losses, sizes)

  def embed(self, model: MLA, params: Params, batch: Batch, rng: jax.Array) -> Pair:
    def forward(module: MLA) -> Pair:
      video = encode_video(module, batch, segments=self.sizes.video_segments, train=True)
      text = encode_text(module, batch, segments=self.sizes.text_segments, train=True)
      return video.embeddings, text.embeddings

    return apply(model, params, forward, rng)

  def loss_of(
      self, model: MLA, params: Params, embeddings: Pair, batch: Batch, mesh: jax.sharding.Mesh
  ) -> tuple[jax.Array, Metrics]:
    scales = apply(model, params, MLA.scales)
    return align(self.losses, *embeddings, scales, batch, mesh)

  def evaluator(self, model: MLA, mesh: jax.sharding.Mesh, reader: Reader) -> Evaluate:
    sizes = self.sizes
    embed_video, embed_text = _embedders(model, sizes)
    score = segment_scores.scorer(self.losses.segment_variant, self.losses.segment_temperature)

    def texts_of(params: Params, texts: Texts, reader: Reader) -> Embedded:
      queries = pipeline.text_batches(reader, texts, sizes.batch)
      return collect(embed_text, params, queries, mesh, len(texts.items))

    def evaluate(params: Params, texts: Texts) -> Evaluation:
      ids, owner = np.unique(texts.videos, return_inverse=True)
      videos = pipeline.video_batches(reader, texts, sizes.batch)
      video = collect(embed_video, params, videos, mesh, len(ids))
      text = texts_of(params, texts, reader)
      others = _distractors(reader, texts, functools.partial(texts_of, params, texts))
      scales = apply(model, params, MLA.scales)
      rows: dict[str, Any] = {}
      share = _share(sizes, sizes.segment_score)
      if share < 1:
        ranked = _Ranked.by_products(text, video, owner, others)
        rows = ranked.summarise(sizes.resamples, "_without_segments") if share else {}
      if share:
        scored = functools.partial(_with_segments, video, score, scales.segment_log_scale, share)
        ranked = _Ranked.by_scores(scored(text), owner, scored(others) if others else None)
      rows = ranked.summarise(sizes.resamples) | rows
      if sizes.rescoring:
        aligned = self.losses.global_weight > 0
        log_scale = scales.global_log_scale if aligned else scales.segment_log_scale
        scale = float(jnp.exp(log_scale))
        rows |= ranked.rescore(methods=sizes.rescoring, scale=scale, resamples=sizes.resamples)
      return _evaluation(texts, ranked, owner, rows)

    return evaluate


def _check_trained(losses: LossSettings, sizes: Sizes, *, regresses: bool) -> None:
  """Raises UserError unless something ranks, and each score that does is trained."""
  trained = {
      "global_score": ("loss.global_weight", losses.global_weight > 0),
      "regression_score": ("model.video.regressor_hidden", regresses),
      "segment_score": ("loss.segment_weight", losses.segment_weight > 0),
  }
  weights = {score: getattr(sizes, score) for score in trained}
  names = ", ".join(f"eval.{score}" for score in trained)
  for score, (by, is_trained) in trained.items():
    if weights[score] and not is_trained:
      raise UserError(
          f"eval.{score}={weights[score]}, {by}=0: this score ranks and is not trained: set"
          f" eval.{score} to 0 and another of {names} above, or train with {by} above 0"
      )
  if not any(weights.values()):
    raise UserError(f"{names}: all are 0 and nothing ranks: set one above 0")


# "whole" [B, E]; with segments "parts" [B, N, E] and "real" [B, N].
Embedded: TypeAlias = dict[str, Any]
Embed: TypeAlias = Callable[[Params, Batch], Embedded]


def _embedders(model: MLA, sizes: Sizes) -> tuple[Embed, Embed]:
  """What embeds a batch of videos and one of texts."""

  def of_video(module: MLA, batch: Batch) -> Encoded:
    return encode_video(module, batch, segments=sizes.video_segments, train=False)

  def of_text(module: MLA, batch: Batch) -> Encoded:
    return encode_text(module, batch, segments=sizes.text_segments, train=False)

  def embedder(encode: Callable[[MLA, Batch], Encoded]) -> Embed:
    @jax.jit
    def embed(params: Params, batch: Batch) -> Embedded:
      return apply(model, params, lambda module: _embedded(encode(module, batch), sizes))

    return embed

  return embedder(of_video), embedder(of_text)


def _embedded(encoded: Encoded, sizes: Sizes) -> Embedded:
  embedded = {"whole": _whole(encoded, sizes)}
  if not sizes.segment_score:
    return embedded
  return embedded | {"parts": encoded.segment_embedding, "real": encoded.segment_mask}


def _whole(encoded: Encoded, sizes: Sizes) -> jax.Array:
  """`[B, E]`, with a regressor `[B, 2 E]`, whose products are the shares of both cosines, added."""
  whole = math.sqrt(_share(sizes, sizes.global_score)) * encoded.global_embedding
  if not sizes.regression_score:
    return whole
  assert encoded.pretrained is not None  # `_check_trained` refuses a model without.
  regressed = math.sqrt(_share(sizes, sizes.regression_score)) * encoded.pretrained
  return jnp.concatenate([whole, regressed], axis=-1)


def _share(sizes: Sizes, weight: float) -> float:
  """What a score of that weight counts for in their mean."""
  return weight / (sizes.global_score + sizes.regression_score + sizes.segment_score)


def _distractors(
    reader: Reader, texts: Texts, embed: Callable[[Reader], Embedded]
) -> Embedded | None:
  """Texts a probe puts beside the others: those that differ with their phrases exchanged."""
  if reader.probe != probes.DISTRACTORS:
    return None
  changed = probes.changed_by_swap(texts.store.read(texts.split, texts.items))
  swapped = embed(dataclasses.replace(reader, probe=probes.SWAPPED))
  return {name: value[changed] for name, value in swapped.items()}


def _with_segments(
    video: Embedded, score: Any, log_scale: jax.Array, share: float, text: Embedded
) -> np.ndarray:
  """Scores [Q, V]: the products of what is whole, and the segments' score times its share."""
  parts = segment_scores.score_all(score, text, video, log_scale)
  return parts if share == 1 else text["whole"] @ video["whole"].T + share * parts


@dataclasses.dataclass(frozen=True)
class _Ranked:
  """Ranks in both directions, and the scores they come from, a block of texts at a time."""

  to_video: retrieval.Ranks
  to_text: retrieval.Ranks
  scores: Callable[[np.ndarray], np.ndarray]  # Rows of texts -> [q, V].
  rescore: Callable[..., dict[str, Any]]  # `rescoring.rescored` of the same scores.

  @classmethod
  def by_products(
      cls, texts: Embedded, videos: Embedded, owner: np.ndarray, distractors: Embedded | None
  ) -> "_Ranked":
    text, video = texts["whole"], videos["whole"]
    others = distractors["whole"] if distractors else None
    return cls(
        retrieval.text_to_video(text, video, owner),
        retrieval.video_to_text(text, video, owner, others),
        lambda rows: text[rows] @ video.T,
        functools.partial(rescoring.rescored_embeddings, text, video, owner),
    )

  @classmethod
  def by_scores(
      cls, scores: np.ndarray, owner: np.ndarray, distractors: np.ndarray | None
  ) -> "_Ranked":
    return cls(
        retrieval.text_to_video_from_scores(scores, owner),
        retrieval.video_to_text_from_scores(scores, owner, distractors),
        lambda rows: scores[rows],
        functools.partial(rescoring.rescored, scores, owner),
    )

  def summarise(self, resamples: int, suffix: str = "") -> dict[str, Any]:
    return {
        f"text_to_video{suffix}": retrieval.summarise(self.to_video, resamples=resamples),
        f"video_to_text{suffix}": retrieval.summarise(self.to_text, resamples=resamples),
    }


def _evaluation(
    texts: Texts, ranked: _Ranked, owner: np.ndarray, rows: dict[str, Any]
) -> Evaluation:
  metrics = rows | {
      "texts": len(texts.items),
      "videos": ranked.to_video.gallery,
  } | with_video_only(texts, "texts")
  recalls = [metrics["text_to_video"][f"recall_at_{k}"] for k in (1, 5, 10)]
  return Evaluation(
      metrics=metrics,
      main=float(np.mean(recalls)),
      rows=_rows(texts, ranked, owner),
      similarity=_similarity(ranked, owner),
  )


def _rows(texts: Texts, ranked: _Ranked, owner: np.ndarray) -> list[dict[str, Any]]:
  """One row a text: the rank and the score of its video, and the video it found first.

  The rank of a video's own texts stands on the row of the first of them.
  """
  count = len(owner)
  blocks = np.array_split(np.arange(count), count // _SHOWN + 1)
  first, own = (np.concatenate(parts) for parts in zip(
      *(_first_and_own(ranked.scores(block), owner[block]) for block in blocks), strict=True
  ))
  id_of = dict(zip(owner.tolist(), texts.video_ids().tolist(), strict=True))
  records = texts.store.read(texts.split, texts.items)
  rank, to_text = ranked.to_video.rank, ranked.to_text
  of_video = {
      int(place): {"video_rank": float(to_text.rank[i]), "video_ties": int(to_text.ties[i])}
      for i, place in enumerate(np.unique(owner, return_index=True)[1])
  }
  return [
      {
          "place": place,
          "id": record.item_id,
          "video": record.video_id,
          "text": record.text,
          "rank": float(rank[place]),
          "ties": int(ranked.to_video.ties[place]),
          "score": float(own[place]),
          "first": id_of[int(first[place])],
          "first_place": int(np.flatnonzero(owner == first[place])[0]),
          "correct": bool(rank[place] == 1),
          **of_video.get(place, {}),
      }
      for place, record in enumerate(records)
  ]


def _first_and_own(scores: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Of a block of texts the video found first, and the score with their own."""
  return np.argmax(scores, axis=1), scores[np.arange(len(owner)), owner]


def _similarity(ranked: _Ranked, owner: np.ndarray) -> np.ndarray:
  """Scores of the first text of each of the first videos with those videos."""
  shown = np.arange(min(_SHOWN, ranked.to_video.gallery))
  firsts = [int(np.flatnonzero(owner == number)[0]) for number in shown]
  return ranked.scores(np.array(firsts))[:, shown]
