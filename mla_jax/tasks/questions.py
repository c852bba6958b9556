"""What the tasks that ask questions about a video share: encoding, and the alignment beside."""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict
import numpy as np

from mla_jax.data import pipeline
from mla_jax.data.reader import Reader
from mla_jax.data.records import TextRecord
from mla_jax.data.sources import Texts
from mla_jax.evals.question_types import BY_DATASET, QuestionTypes
from mla_jax.models.mla import MLA, Embeddings, Encoded
from mla_jax.tasks.alignment import LossSettings, align
from mla_jax.tasks.base import Batch, Metrics, Params, Sizes
from mla_jax.tasks.collect import collect
from mla_jax.tasks.encode import (
    apply,
    encode_text,
    encode_video,
    flat_texts,
    for_each_text,
    text_names,
)

Score: TypeAlias = Callable[..., jax.Array]  # As `Questions.logits`.


class Answered(NamedTuple):
  """What a loss reads: logits of what is asked, and videos and texts where they are aligned."""

  logits: jax.Array
  aligned: tuple[Embeddings, Embeddings] | None


@dataclasses.dataclass(frozen=True)
class Questions:
  """Questions about a video, or about none: the text-only twin.

  Their alignment text is the question with its answer. It is read by the loss alone: batches of an
  evaluation do not hold it.
  """

  losses: LossSettings
  sizes: Sizes
  use_video: bool

  @classmethod
  def from_config(cls, config: ConfigDict) -> "Questions":
    return cls(
        LossSettings.from_config(config.loss),
        Sizes.from_config(config),
        use_video=config.model.use_video,
    )

  def video(self, module: MLA, batch: Batch, *, train: bool) -> Encoded | None:
    if not self.use_video:
      return None
    return encode_video(module, batch, segments=self.sizes.video_segments, train=train)

  def own(self, field: jax.Array, batch: Batch) -> jax.Array:
    """Of a field of the texts the slots that may hold a question: the first of each row."""
    several = batch["mask"].ndim == 2
    return field[:, : self.sizes.captions] if several else field

  def asked(self, batch: Batch, prefix: str = "") -> Batch:
    """The texts to be answered as rows `[B * c, L]`; with candidates `[B * c * K, L]`."""
    names = text_names(batch, prefix)
    return flat_texts({name: self.own(batch[f"{prefix}{name}"], batch) for name in names})

  def _encode(self, module: MLA, asked: Batch, batch: Batch) -> tuple[Encoded, Encoded | None]:
    """In training: what is asked and, where it is aligned, all texts with their answers."""
    segments = self.sizes.text_segments
    if not (self.losses.global_weight or self.losses.segment_weight):
      return encode_text(module, asked, segments=segments, train=True), None
    aligned = flat_texts(batch, "align_")
    both = {name: jnp.concatenate([asked[name], aligned[name]]) for name in asked}
    encoded = encode_text(module, both, segments=segments, train=True)
    count = len(asked["text_mask"])
    return (
        jax.tree.map(lambda leaf: leaf[:count], encoded),
        jax.tree.map(lambda leaf: leaf[count:], encoded),
    )

  def encode_asked(self, module: MLA, asked: Batch) -> Encoded:
    """In evaluation: what is asked."""
    return encode_text(module, asked, segments=self.sizes.text_segments, train=False)

  def logits(
      self, module: MLA, asked: Encoded, video: Encoded | None, *, train: bool
  ) -> jax.Array:
    """`[rows, num_answers]` of the answer head; each video meets the texts of its row."""
    if video is not None:
      video = for_each_text(video, asked.mask.shape[0])
    return module.answer_logits(asked, video, train=train)

  def embed(
      self,
      model: MLA,
      params: Params,
      batch: Batch,
      rng: jax.Array,
      *,
      prefix: str = "",
      score: Score | None = None,
  ) -> Answered:
    """What the loss of a task reads of rows of a batch.

    Args:
      model, params, batch, rng: as of `Task.embed`.
      prefix: of the fields that are asked: "candidate_" for a question with each of its candidates.
      score: gives the logits; None: the answer head.
    """

    def forward(module: MLA) -> Answered:
      video = self.video(module, batch, train=True)
      asked, aligned = self._encode(module, self.asked(batch, prefix), batch)
      logits = (score or self.logits)(module, asked, video, train=True)
      if aligned is None or video is None:
        return Answered(logits, None)
      return Answered(logits, (video.embeddings, aligned.embeddings))

    return apply(model, params, forward, rng)

  def answerer(
      self,
      model: MLA,
      mesh: Mesh,
      reader: Reader,
      decide: Callable[[jax.Array], Any],
      *,
      prefix: str = "",
      score: Score | None = None,
  ) -> Callable[[Params, Texts], Any]:
    """What evaluates parameters on texts: all that `decide` makes of the logits, in their order.

    Args:
      model, mesh, reader: as of `Task.evaluator`.
      decide: from the logits `[rows, ...]` of a batch to arrays `[rows, ...]`.
      prefix, score: as of `embed`.
    """

    @jax.jit
    def answer(params: Params, batch: Batch) -> Any:
      def forward(module: MLA) -> jax.Array:
        video = self.video(module, batch, train=False)
        asked = self.encode_asked(module, self.asked(batch, prefix))
        return (score or self.logits)(module, asked, video, train=False)

      return decide(apply(model, params, forward))

    def answer_all(params: Params, texts: Texts) -> Any:
      batches = pipeline.text_batches(
          reader, texts, self.sizes.batch, with_video=self.use_video
      )
      return collect(answer, params, batches, mesh, len(texts.items))

    return answer_all

  def total(
      self,
      model: MLA,
      params: Params,
      task: tuple[jax.Array, Metrics],
      answered: Answered,
      batch: Batch,
      mesh: Mesh,
  ) -> tuple[jax.Array, Metrics]:
    """The task's loss with its weight, and the alignment's where there is something to align."""
    loss, metrics = task
    total = self.losses.task_weight * loss
    if answered.aligned is None:
      return total, metrics
    scales = apply(model, params, MLA.scales)
    alignment, parts = align(self.losses, *answered.aligned, scales, batch, mesh)
    return total + alignment, metrics | parts


def dataset_types(texts: Texts, records: Sequence[TextRecord]) -> QuestionTypes | None:
  """Names and groups of the types of the questions, where the dataset has and states some."""
  dataset: str = texts.store.manifest["dataset"]
  found = BY_DATASET.get(dataset, BY_DATASET.get(dataset.removesuffix("_qa")))
  return found if all(record.question_type for record in records) else None


def without_video(texts: Texts, right: np.ndarray) -> dict[str, Any]:
  """How many questions have no video: they are wrong, so the accuracy of the others is told too.

  Args:
    texts: what was evaluated.
    right: of `texts.read_all()`, in [0, 1].
  """
  found: dict[str, Any] = {"questions_without_video": texts.missing}
  if texts.missing:
    found["accuracy_with_video"] = float(100.0 * np.mean(right[: len(texts.items)]))
  return found


def mark(texts: Texts, place: int) -> dict[str, bool]:
  """What says in the dump that a question was not asked, since its video is missing."""
  return {"video_missing": True} if place >= len(texts.items) else {}
