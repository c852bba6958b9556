"""Multiple-choice video question answering: the candidates of a question are scored jointly.

A candidate is read behind its question, in one text, and behind it what is said in the video, if
`data.subtitles` asks for it. By "head" the text looks at the frames
(fusion) and is pooled to one score; by "contrastive" its score is the cosine of its global
embedding and the video's, which a checkpoint without any head has too.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np

from mla_jax.data.reader import Reader
from mla_jax.data.records import TextRecord
from mla_jax.data.sources import Texts
from mla_jax.data.subtitles import spoken
from mla_jax.data.task_fields import TaskFields, candidate_texts
from mla_jax.data.text import Tokenizer
from mla_jax.errors import UserError
from mla_jax.evals import dumps, multiple_choice
from mla_jax.models.mla import MLA, Encoded
from mla_jax.models.primitives import MASKED_LOGIT
from mla_jax.tasks.base import Batch, Evaluate, Evaluation, Metrics, Params, Task
from mla_jax.tasks.encode import for_each_text
from mla_jax.tasks.questions import Answered, Questions, dataset_types, mark, without_video


@dataclasses.dataclass(frozen=True)
class MultipleChoiceQA(Task):
  """Chooses one of up to K candidates; a question's alignment text holds the right one."""

  questions: Questions

  @classmethod
  def from_config(cls, config: ConfigDict) -> "MultipleChoiceQA":
    """Raises UserError for a model that cannot score candidates in the way asked for."""
    questions = Questions.from_config(config)
    model = config.model
    if questions.sizes.scoring == "contrastive":
      if not model.use_video:
        raise UserError("eval.scoring='contrastive': needs the video: set model.use_video=True")
      check_cosine(config)
    elif model.head != "answer" or model.num_answers != 1:
      raise UserError(
          f"model.head={model.head!r}, model.num_answers={model.num_answers}: no score of a "
          "candidate, which is 'answer' and 1; any checkpoint that was aligned answers with "
          "--config.eval.scoring=contrastive"
      )
    return cls(questions)

  @property
  def wanted(self) -> TaskFields:
    sizes = self.questions.sizes
    return TaskFields(
        candidates=sizes.candidates,
        optional=sizes.scoring == "contrastive",
        subtitles=sizes.subtitles,
    )

  def embed(self, model: MLA, params: Params, batch: Batch, rng: jax.Array) -> Answered:
    return self.questions.embed(
        model, params, batch, rng, prefix="candidate_", score=self._scores
    )

  def loss_of(
      self, model: MLA, params: Params, embeddings: Answered, batch: Batch, mesh: jax.sharding.Mesh
  ) -> tuple[jax.Array, Metrics]:
    questions, scores = self.questions, embeddings.logits
    mask = questions.own(batch["candidate_mask"], batch).reshape(scores.shape)
    answer = questions.own(batch["answer"], batch).reshape(-1)
    task = choice_loss(scores, mask, answer, questions.losses.label_smoothing)
    return questions.total(model, params, task, embeddings, batch, mesh)

  def evaluator(self, model: MLA, mesh: jax.sharding.Mesh, reader: Reader) -> Evaluate:
    scores = self.questions.answerer(
        model, mesh, reader, lambda logits: logits, prefix="candidate_", score=self._scores
    )

    def evaluate(params: Params, texts: Texts) -> Evaluation:
      found = _evaluation(self.questions.sizes.resamples, texts, scores(params, texts))
      records = texts.store.read(texts.split, texts.items)
      cut = cut_texts(records, reader.tokenizer, reader.shapes.text_length, self.wanted.subtitles)
      return dataclasses.replace(found, metrics=found.metrics | cut)

    return evaluate

  def _scores(
      self, module: MLA, asked: Encoded, video: Encoded | None, *, train: bool
  ) -> jax.Array:
    """Float32 logits `[questions, K]`."""
    if self.questions.sizes.scoring == "head":
      scores = self.questions.logits(module, asked, video, train=train)[:, 0]
    else:
      assert video is not None
      seen = for_each_text(video, asked.mask.shape[0]).global_embedding
      cosine = (seen * asked.global_embedding).sum(-1)
      scores = cosine * jnp.exp(module.scales().global_log_scale)
    return scores.reshape(-1, self.questions.sizes.candidates)


def check_cosine(trained: ConfigDict) -> None:
  """Raises UserError unless a run of this config trains the cosine that `contrastive` chooses by.

  The global loss trains it, and so does the choice itself where it is made by the cosine.
  """
  loss = trained.loss
  by_cosine = (trained.task, trained.eval.scoring) == ("multiple_choice_qa", "contrastive")
  if not loss.global_weight and not (by_cosine and loss.task_weight):
    raise UserError(
        f"eval.scoring='contrastive': with loss.global_weight={loss.global_weight} the cosine that"
        " chooses is not trained: train with it above 0, or choose by eval.scoring=head"
    )


def choice_loss(
    scores: jax.Array, mask: jax.Array, answer: jax.Array, label_smoothing: float
) -> tuple[jax.Array, Metrics]:
  """Cross-entropy of a softmax over each question's real candidates.

  Args:
    scores: `[B, K]` logits.
    mask: `[B, K]`, True = a real candidate.
    answer: `[B]` int32, -1 = hidden, or not a question: no part of the loss.
    label_smoothing: in [0, 1), spread over the real candidates.

  Returns:
    The mean loss (0 without a row that counts), and it with the accuracy as metrics.
  """
  weight = (answer >= 0).astype(jnp.float32)
  scores = jnp.where(mask, scores.astype(jnp.float32), MASKED_LOGIT)
  log_p = jnp.where(mask, jax.nn.log_softmax(scores), 0.0)
  even = mask / jnp.maximum(mask.sum(axis=1, keepdims=True), 1)
  right = jax.nn.one_hot(answer, scores.shape[1])
  targets = (1.0 - label_smoothing) * right + label_smoothing * even
  losses = -(targets * log_p).sum(axis=1)
  count = weight.sum()
  loss = (losses * weight).sum() / jnp.maximum(count, 1.0)
  correct = (scores.argmax(-1) == answer).astype(jnp.float32)
  return loss, {
      "loss/answer": (loss, jnp.float32(1.0)),
      "answer/accuracy": ((correct * weight).sum(), count),
  }


def cut_texts(
    records: Sequence[TextRecord], tokenizer: Tokenizer, length: int, subtitles: str
) -> dict[str, int]:
  """How many questions are not wholly read, since their texts have more than `length` tokens.

  Returns:
    "questions_cut": those that lose a part of a candidate; with subtitles also
    "questions_with_subtitles", and "subtitles_cut": those of them that lose a part of what is said.
  """

  def is_cut(record: TextRecord, which: str) -> bool:
    asked = candidate_texts((record.text, record.segments), record, which)
    return any(tokenizer.count(text) > length for text, _ in asked)

  found = {"questions_cut": sum(is_cut(record, "") for record in records)}
  if subtitles:
    heard = [record for record in records if spoken(record, subtitles)]
    found["questions_with_subtitles"] = len(heard)
    found["subtitles_cut"] = sum(is_cut(record, subtitles) for record in heard)
  return found


def _evaluation(resamples: int, texts: Texts, scores: np.ndarray) -> Evaluation:
  """Of all questions: those whose video is missing are wrong, and rows of the dump too."""
  records = texts.read_all()
  asked = np.arange(len(records)) < len(texts.items)
  scores = np.concatenate([scores, np.zeros((texts.missing, scores.shape[1]), scores.dtype)])
  mask = np.arange(scores.shape[1]) < np.array([[len(r.candidates)] for r in records])
  answers = np.array([record.answer_index for record in records])
  also = multiple_choice.also_right(
      [r.candidates for r in records], [r.references for r in records], scores.shape[1]
  )
  points = multiple_choice.points(scores, answers, mask, also) * asked
  metrics: dict[str, Any] = multiple_choice.accuracy(
      scores,
      answers,
      [record.question_type for record in records],
      mask=mask,
      also=also,
      answered=asked,
      clusters=np.array([record.video_id for record in records]),
      dataset_types=dataset_types(texts, records),
      resamples=resamples,
  ) | without_video(texts, points)
  chosen = np.where(asked, np.where(mask, scores, -np.inf).argmax(axis=1), -1)
  shown = [row[real].tolist() for row, real in zip(scores, mask & asked[:, None], strict=True)]
  rows = _rows(texts, records, chosen, shown, points)
  return Evaluation(metrics=metrics, main=float(metrics["accuracy"]), rows=rows)


def _rows(
    texts: Texts,
    records: Sequence[TextRecord],
    chosen: np.ndarray,
    scores: Sequence[list[float]],
    points: np.ndarray,
) -> list[dict[str, Any]]:
  """Of the dump; `chosen` is -1, and there are no scores, where the video is missing."""
  added = dumps.row_metrics({"accuracy": 100.0 * points})
  return [
      {
          "place": place,
          "id": record.item_id,
          "video": record.video_id,
          "text": record.text,
          "type": record.question_type,
          "answer": record.answer,
          "predicted": record.candidates[chosen[place]] if chosen[place] >= 0 else "",
          "predicted_index": int(chosen[place]),
          "scores": scores[place],
          "correct": bool(points[place] == 1.0),
          "metrics": added[place],
          **mark(texts, place),
      }
      for place, record in enumerate(records)
  ]
