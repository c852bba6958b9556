"""Counting questions (TGIF-QA): a number by regression, or by thresholds that it exceeds or not.

With `model.head="answer"` and one output the number itself is predicted, by its squared error; with
"ordinal" P(count > k) for k = 0 .. num_answers - 1 (CORAL: Cao, Mirjalili, Raschka 2020), by binary
cross-entropy, and the prediction is the sum of the probabilities: the expected count.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import optax

from mla_jax.data.reader import Reader
from mla_jax.data.sources import Texts
from mla_jax.data.task_fields import TaskFields
from mla_jax.errors import UserError
from mla_jax.evals import counting, dumps
from mla_jax.models.mla import MLA
from mla_jax.tasks.base import (
    Batch,
    Evaluate,
    Evaluation,
    Metrics,
    Params,
    Task,
    with_video_only,
)
from mla_jax.tasks.questions import Answered, Questions


@dataclasses.dataclass(frozen=True)
class Counting(Task):
  """Says how often something happens; a question's alignment text ends with the number."""

  questions: Questions
  ordinal: bool
  wanted = TaskFields(count=True)

  @classmethod
  def from_config(cls, config: ConfigDict) -> "Counting":
    """Raises UserError for a model without a head that counts."""
    head, outputs = config.model.head, config.model.num_answers
    if (head, outputs) not in (("answer", 1), ("ordinal", counting.HIGH)):
      raise UserError(
          f"model.head={head!r}, model.num_answers={outputs}: no head that counts, which is "
          f"'answer' with 1 or 'ordinal' with {counting.HIGH}: train one (configs/tgif_qa_count.py)"
      )
    return cls(Questions.from_config(config), ordinal=head == "ordinal")

  def embed(self, model: MLA, params: Params, batch: Batch, rng: jax.Array) -> Answered:
    return self.questions.embed(model, params, batch, rng)

  def loss_of(
      self, model: MLA, params: Params, embeddings: Answered, batch: Batch, mesh: jax.sharding.Mesh
  ) -> tuple[jax.Array, Metrics]:
    questions = self.questions
    count = questions.own(batch["count"], batch).reshape(-1)
    task = count_loss(embeddings.logits, count, ordinal=self.ordinal)
    return questions.total(model, params, task, embeddings, batch, mesh)

  def evaluator(self, model: MLA, mesh: jax.sharding.Mesh, reader: Reader) -> Evaluate:
    decide = functools.partial(predicted_count, ordinal=self.ordinal)
    count = self.questions.answerer(model, mesh, reader, decide)

    def evaluate(params: Params, texts: Texts) -> Evaluation:
      return _evaluation(self.questions.sizes.resamples, texts, count(params, texts))

    return evaluate


def predicted_count(logits: jax.Array, *, ordinal: bool) -> jax.Array:
  """Real-valued counts `[B]` from the head's `[B, K]`: itself, or the sum of P(count > k)."""
  return jax.nn.sigmoid(logits).sum(axis=-1) if ordinal else logits[:, 0]


def count_loss(
    logits: jax.Array, count: jax.Array, *, ordinal: bool
) -> tuple[jax.Array, Metrics]:
  """The loss over the rows that have a count, against the labels as they are.

  Args:
    logits: `[B, 1]` counts, or `[B, K]` of P(count > k).
    count: `[B]` int32, -1 = not a question: no part of the loss.
    ordinal: the squared error of the count, or the thresholds' binary cross-entropies, summed.

  Returns:
    The mean loss (0 without a row that counts), and it with the squared error of the prediction as
    metrics.
  """
  weight = (count >= 0).astype(jnp.float32)
  logits = logits.astype(jnp.float32)
  error = jnp.square(predicted_count(logits, ordinal=ordinal) - count)
  if ordinal:
    above = (count[:, None] > jnp.arange(logits.shape[1])).astype(jnp.float32)
    losses = optax.sigmoid_binary_cross_entropy(logits, above).sum(axis=1)
  else:
    losses = error
  rows = weight.sum()
  loss = (losses * weight).sum() / jnp.maximum(rows, 1.0)
  return loss, {
      "loss/answer": (loss, jnp.float32(1.0)),
      "answer/squared_error": ((error * weight).sum(), rows),
  }


def _evaluation(resamples: int, texts: Texts, predicted: np.ndarray) -> Evaluation:
  records = texts.store.read(texts.split, texts.items)
  labels = np.array([record.count for record in records])
  metrics = counting.errors(
      predicted,
      labels,
      clusters=np.array([record.video_id for record in records]),
      resamples=resamples,
  ) | with_video_only(texts, "questions")
  counts = counting.as_counts(predicted)
  added = dumps.row_metrics(counting.columns(predicted, labels))
  rows = [
      {
          "place": place,
          "id": record.item_id,
          "video": record.video_id,
          "text": record.text,
          "type": record.question_type,
          "answer": record.count,
          "predicted": int(counts[place]),
          "unrounded": float(predicted[place]),
          "correct": bool(counts[place] == record.count),
          "metrics": added[place],
      }
      for place, record in enumerate(records)
  ]
  return Evaluation(metrics=metrics, main=-float(metrics["mse_raw_labels"]), rows=rows)
