"""Open-ended video question answering as classification over the train answers."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import optax

from mla_jax.data import pipeline
from mla_jax.data.pipeline import Reader
from mla_jax.data.sources import Texts
from mla_jax.evals import qa
from mla_jax.models.mla import MLA, Embeddings, Encoded
from mla_jax.tasks.alignment import LossSettings, align
from mla_jax.tasks.base import Batch, Evaluate, Evaluation, Metrics, Params, Sizes, Task
from mla_jax.tasks.collect import collect
from mla_jax.tasks.encode import apply, encode_text, encode_video, flat_texts, for_each_text


class Answered(NamedTuple):
  """What the loss reads: answer logits [Q, K], and videos and texts where they are aligned."""

  logits: jax.Array
  aligned: tuple[Embeddings, Embeddings] | None


@dataclasses.dataclass(frozen=True)
class OpenEndedQA(Task):
  """Answers a question about a video; its alignment text is the question with its answer.

  That text is read by the loss alone: batches of an evaluation do not hold it.
  """

  losses: LossSettings
  sizes: Sizes
  use_video: bool
  num_answers: int
  needs_answers = True

  @classmethod
  def from_config(cls, config: ConfigDict) -> "OpenEndedQA":
    return cls(
        LossSettings.from_config(config.loss),
        Sizes.from_config(config),
        use_video=config.model.use_video,
        num_answers=config.model.num_answers,
    )

  def embed(self, model: MLA, params: Params, batch: Batch, rng: jax.Array) -> Answered:
    def forward(module: MLA) -> Answered:
      video = self._video(module, batch, train=True)
      question, aligned = self._texts(module, batch)
      logits = self._logits(module, question, video, train=True)
      if aligned is None or video is None:
        return Answered(logits, None)
      return Answered(logits, (video.embeddings, aligned.embeddings))

    return apply(model, params, forward, rng)

  def loss_of(
      self, model: MLA, params: Params, embeddings: Answered, batch: Batch, mesh: jax.sharding.Mesh
  ) -> tuple[jax.Array, Metrics]:
    answer = self._own(batch["answer"], batch).reshape(-1)
    loss, metrics = answer_loss(embeddings.logits, answer, self.losses.label_smoothing)
    total = self.losses.task_weight * loss
    if embeddings.aligned is not None:
      scales = apply(model, params, MLA.scales)
      alignment, parts = align(self.losses, *embeddings.aligned, scales, batch, mesh)
      total, metrics = total + alignment, metrics | parts
    return total, metrics

  def evaluator(self, model: MLA, mesh: jax.sharding.Mesh, reader: Reader) -> Evaluate:
    classes = _by_class(reader.answers, self.num_answers)

    @jax.jit
    def answer(params: Params, batch: Batch) -> tuple[jax.Array, jax.Array]:
      def forward(module: MLA) -> jax.Array:
        video = self._video(module, batch, train=False)
        question = encode_text(module, batch, segments=self.sizes.text_segments, train=False)
        return self._logits(module, question, video, train=False)

      logits = apply(model, params, forward)
      # Classes beyond the train answers have no name and cannot be given.
      logits = jnp.where(jnp.arange(logits.shape[-1]) < len(classes), logits, -jnp.inf)
      return logits.argmax(-1), jax.nn.softmax(logits).max(-1)

    def evaluate(params: Params, texts: Texts) -> Evaluation:
      batches = pipeline.text_batches(
          reader, texts, self.sizes.batch, with_video=self.use_video
      )
      chosen, probability = collect(answer, params, batches, mesh, len(texts.items))
      predicted = [classes[i] for i in chosen]
      return _evaluation(self.sizes.resamples, texts, predicted, probability, classes)

    return evaluate

  def _video(self, module: MLA, batch: Batch, *, train: bool) -> Encoded | None:
    if not self.use_video:
      return None
    return encode_video(module, batch, segments=self.sizes.video_segments, train=train)

  def _texts(self, module: MLA, batch: Batch) -> tuple[Encoded, Encoded | None]:
    """The questions and, where they are aligned, all texts with their answers, in one pass."""
    segments = self.sizes.text_segments
    names = ("text", "text_mask", "text_segment")
    question = flat_texts({name: self._own(batch[name], batch) for name in names})
    if not (self.losses.global_weight or self.losses.segment_weight):
      return encode_text(module, question, segments=segments, train=True), None
    aligned = flat_texts(batch, "align_")
    both = {name: jnp.concatenate([question[name], aligned[name]]) for name in names}
    encoded = encode_text(module, both, segments=segments, train=True)
    count = len(question["text_mask"])
    return (
        jax.tree.map(lambda leaf: leaf[:count], encoded),
        jax.tree.map(lambda leaf: leaf[count:], encoded),
    )

  def _own(self, field: jax.Array, batch: Batch) -> jax.Array:
    """Of a field of the texts the slots that may hold a question: the first of each row."""
    several = batch["answer"].ndim == 2
    return field[:, : self.sizes.captions] if several else field

  def _logits(
      self, module: MLA, question: Encoded, video: Encoded | None, *, train: bool
  ) -> jax.Array:
    if video is not None:
      video = for_each_text(video, question.mask.shape[0])
    return module.answer_logits(question, video, train=train)


def answer_loss(
    logits: jax.Array, answer: jax.Array, label_smoothing: float
) -> tuple[jax.Array, Metrics]:
  """Cross-entropy over the rows whose answer is in the vocabulary.

  Args:
    logits: `[B, K]`.
    answer: `[B]` int32, -1 = outside the vocabulary, or not a question: no part of the loss.
    label_smoothing: in [0, 1).

  Returns:
    The mean loss (0 without a row that counts), and it with the accuracy as metrics.
  """
  weight = (answer >= 0).astype(jnp.float32)
  targets = jax.nn.one_hot(answer, logits.shape[-1])
  targets = optax.smooth_labels(targets, label_smoothing)
  losses = optax.softmax_cross_entropy(logits.astype(jnp.float32), targets)
  count = weight.sum()
  loss = (losses * weight).sum() / jnp.maximum(count, 1.0)
  correct = (logits.argmax(-1) == answer).astype(jnp.float32)
  return loss, {
      "loss/answer": (loss, jnp.float32(1.0)),
      "answer/accuracy": ((correct * weight).sum(), count),
  }


def _by_class(answers: dict[str, int] | None, most: int) -> list[str]:
  assert answers is not None
  return sorted(answers, key=answers.__getitem__)[:most]


def _evaluation(
    resamples: int,
    texts: Texts,
    predicted: list[str],
    probability: np.ndarray,
    vocabulary: list[str],
) -> Evaluation:
  records = texts.store.read(texts.split, texts.items)
  metrics: dict[str, Any] = qa.accuracy(
      predicted,
      [record.answer for record in records],
      [record.question_type for record in records],
      vocabulary,
      clusters=np.array([record.video_id for record in records]),
      resamples=resamples,
  ) | {"questions": len(records), "questions_without_video": texts.missing}
  rows = [
      {
          "place": place,
          "id": record.item_id,
          "video": record.video_id,
          "text": record.text,
          "type": record.question_type,
          "answer": record.answer,
          "predicted": guess,
          "probability": float(probability[place]),
          "correct": guess == record.answer,
      }
      for place, (record, guess) in enumerate(zip(records, predicted, strict=True))
  ]
  return Evaluation(metrics=metrics, main=float(metrics["accuracy"]), rows=rows)
