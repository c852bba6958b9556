"""Open-ended video question answering as classification over the train answers."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import optax

from mla_jax.data.examples import NOTHING_MORE
from mla_jax.data.reader import Reader
from mla_jax.data.records import TextRecord
from mla_jax.data.sources import Texts
from mla_jax.errors import UserError
from mla_jax.evals import dumps, inputs, qa
from mla_jax.models.mla import MLA
from mla_jax.tasks.base import Batch, Evaluate, Evaluation, Metrics, Params, Task
from mla_jax.tasks.questions import Answered, Questions, dataset_types, mark, without_video


@dataclasses.dataclass(frozen=True)
class OpenEndedQA(Task):
  """Answers a question about a video with one of the train answers."""

  questions: Questions
  num_answers: int
  needs_answers = True
  wanted = NOTHING_MORE

  @classmethod
  def from_config(cls, config: ConfigDict) -> "OpenEndedQA":
    """Raises UserError for a model of another head."""
    if config.model.head != "answer" or not config.model.num_answers:
      raise UserError(
          f"model.head={config.model.head!r}, model.num_answers={config.model.num_answers}: no "
          "head for open-ended answers, which is 'answer' over as many as there are: train one"
      )
    return cls(Questions.from_config(config), num_answers=config.model.num_answers)

  def embed(self, model: MLA, params: Params, batch: Batch, rng: jax.Array) -> Answered:
    return self.questions.embed(model, params, batch, rng)

  def loss_of(
      self, model: MLA, params: Params, embeddings: Answered, batch: Batch, mesh: jax.sharding.Mesh
  ) -> tuple[jax.Array, Metrics]:
    questions = self.questions
    answer = questions.own(batch["answer"], batch).reshape(-1)
    task = answer_loss(embeddings.logits, answer, questions.losses.label_smoothing)
    return questions.total(model, params, task, embeddings, batch, mesh)

  def evaluator(self, model: MLA, mesh: jax.sharding.Mesh, reader: Reader) -> Evaluate:
    classes = _by_class(reader.answers, self.num_answers)

    def decide(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
      # Classes beyond the train answers have no name and cannot be given.
      logits = jnp.where(jnp.arange(logits.shape[-1]) < len(classes), logits, -jnp.inf)
      return logits.argmax(-1), jax.nn.softmax(logits).max(-1)

    answer = self.questions.answerer(model, mesh, reader, decide)

    def evaluate(params: Params, texts: Texts) -> Evaluation:
      chosen, probability = answer(params, texts)
      predicted = [classes[i] for i in chosen]
      return _evaluation(self.questions.sizes.resamples, texts, predicted, probability, classes)

    return evaluate


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
  """Of all questions: those whose video is missing are wrong, and rows of the dump too."""
  records = texts.read_all()
  probability = inputs.finite("probabilities", probability, questions=len(texts.items))
  # No answer is the empty one, which is in no vocabulary.
  predicted = predicted + [""] * texts.missing
  probability = np.append(probability, np.zeros(texts.missing))
  given = [record.references for record in records]
  references = given if any(given) else None
  answers = [record.answer for record in records]
  values = qa.columns(predicted, answers, vocabulary, references=references)
  # The ceilings are of the vocabulary, and no result of the run.
  added = dumps.row_metrics({k: v for k, v in values.items() if k.startswith("accuracy")})
  right = [bool(a) and a == r.answer for a, r in zip(predicted, records, strict=True)]
  metrics: dict[str, Any] = qa.accuracy(
      predicted,
      answers,
      [record.question_type for record in records],
      vocabulary,
      clusters=np.array([record.video_id for record in records]),
      dataset_types=dataset_types(texts, records),
      references=references,
      resamples=resamples,
  ) | without_video(texts, np.array(right))
  rows = [
      {"place": place, "correct": right[place], "metrics": added[place]}
      | _row(record, answer, float(chance)) | mark(texts, place)
      for place, (record, answer, chance) in enumerate(
          zip(records, predicted, probability, strict=True)
      )
  ]
  return Evaluation(metrics=metrics, main=float(metrics["accuracy"]), rows=rows)


def _row(record: TextRecord, predicted: str, probability: float) -> dict[str, Any]:
  return {
      "id": record.item_id,
      "video": record.video_id,
      "text": record.text,
      "type": record.question_type,
      "answer": record.answer,
      "predicted": predicted,
      "probability": probability,
  } | ({"references": record.references} if record.references else {})
