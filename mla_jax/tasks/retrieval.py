"""Text-video retrieval: alignment is the task's own loss, the global embeddings the index."""

import dataclasses
from typing import Any

import jax
from ml_collections import ConfigDict
import numpy as np

from mla_jax.data import pipeline
from mla_jax.data.pipeline import Reader
from mla_jax.data.sources import Texts
from mla_jax.errors import UserError
from mla_jax.evals import retrieval
from mla_jax.models.mla import MLA
from mla_jax.tasks.alignment import LossSettings, align
from mla_jax.tasks.base import Batch, Evaluate, Evaluation, Metrics, Params, Sizes
from mla_jax.tasks.collect import collect
from mla_jax.tasks.encode import apply, encode_text, encode_video

_SHOWN = 200  # Rows and columns of the similarity matrix kept for the report.


@dataclasses.dataclass(frozen=True)
class Retrieval:
  """Trains both encoders to align; finds videos by text and texts by video."""

  losses: LossSettings
  sizes: Sizes
  needs_answers = False

  @classmethod
  def from_config(cls, config: ConfigDict) -> "Retrieval":
    """Raises UserError for a model without video."""
    if not config.model.use_video:
      raise UserError("model.use_video=False: retrieval needs the video; QA alone can do without")
    return cls(LossSettings.from_config(config.loss), Sizes.from_config(config))

  def loss(
      self, model: MLA, params: Params, batch: Batch, rng: jax.Array, mesh: jax.sharding.Mesh
  ) -> tuple[jax.Array, Metrics]:
    def forward(module: MLA) -> tuple[jax.Array, Metrics]:
      video = encode_video(module, batch, segments=self.sizes.video_segments, train=True)
      text = encode_text(module, batch, segments=self.sizes.text_segments, train=True)
      return align(self.losses, video, text, module.scales(), batch, mesh)

    return apply(model, params, forward, rng)

  def evaluator(self, model: MLA, mesh: jax.sharding.Mesh, reader: Reader) -> Evaluate:
    @jax.jit
    def embed_video(params: Params, batch: Batch) -> jax.Array:
      def forward(module: MLA) -> jax.Array:
        video = encode_video(module, batch, segments=self.sizes.video_segments, train=False)
        return video.global_embedding

      return apply(model, params, forward)

    @jax.jit
    def embed_text(params: Params, batch: Batch) -> jax.Array:
      def forward(module: MLA) -> jax.Array:
        text = encode_text(module, batch, segments=self.sizes.text_segments, train=False)
        return text.global_embedding

      return apply(model, params, forward)

    def evaluate(params: Params, texts: Texts) -> Evaluation:
      ids, owner = np.unique(texts.videos, return_inverse=True)
      videos = pipeline.video_batches(reader, texts, self.sizes.batch)
      queries = pipeline.text_batches(reader, texts, self.sizes.batch)
      video = collect(embed_video, params, videos, mesh, len(ids))
      text = collect(embed_text, params, queries, mesh, len(texts.items))
      return _evaluation(self.sizes.resamples, texts, text, video, owner)

    return evaluate


def _evaluation(
    resamples: int, texts: Texts, text: np.ndarray, video: np.ndarray, owner: np.ndarray
) -> Evaluation:
  to_video = retrieval.text_to_video(text, video, owner)
  to_text = retrieval.video_to_text(text, video, owner)
  metrics: dict[str, Any] = {
      "text_to_video": retrieval.summarise(to_video, resamples=resamples),
      "video_to_text": retrieval.summarise(to_text, resamples=resamples),
      "texts": len(texts.items),
      "videos": len(video),
      "texts_without_video": texts.missing,
  }
  recalls = [metrics["text_to_video"][f"recall_at_{k}"] for k in (1, 5, 10)]
  return Evaluation(
      metrics=metrics,
      main=float(np.mean(recalls)),
      rows=_rows(texts, text, video, owner, to_video.rank),
      similarity=_similarity(text, video, owner),
  )


def _rows(
    texts: Texts, text: np.ndarray, video: np.ndarray, owner: np.ndarray, rank: np.ndarray
) -> list[dict[str, Any]]:
  """One row a text: its rank and the video it found first."""
  blocks = np.array_split(text, len(text) // _SHOWN + 1)
  first = np.concatenate([np.argmax(block @ video.T, axis=1) for block in blocks])
  id_of = dict(zip(owner.tolist(), texts.video_ids().tolist(), strict=True))
  records = texts.store.read(texts.split, texts.items)
  return [
      {
          "place": place,
          "id": record.item_id,
          "video": record.video_id,
          "text": record.text,
          "rank": float(rank[place]),
          "first": id_of[int(first[place])],
          "first_place": int(np.flatnonzero(owner == first[place])[0]),
          "correct": bool(rank[place] == 1),
      }
      for place, record in enumerate(records)
  ]


def _similarity(text: np.ndarray, video: np.ndarray, owner: np.ndarray) -> np.ndarray:
  """Scores of the first text of each of the first videos with those videos."""
  shown = np.arange(min(_SHOWN, len(video)))
  firsts = [int(np.flatnonzero(owner == number)[0]) for number in shown]
  return text[firsts] @ video[shown].T
