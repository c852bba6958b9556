"""Candidates: the loss against numpy, scores one text at a time, and that no answer leaks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import common, variants
from mla_jax.errors import UserError
from mla_jax.models import build, mla
from mla_jax.sharding import make_mesh
from mla_jax.tasks.multiple_choice_qa import MultipleChoiceQA, choice_loss
from tests.models import tiny

K = 3


def reference(scores, mask, answer, smoothing):
  losses = []
  for row, real, target in zip(scores.astype(np.float64), mask, answer, strict=True):
    if target < 0:
      continue
    log_p = row[real] - np.log(np.exp(row[real]).sum())
    wanted = np.full(real.sum(), smoothing / real.sum())
    wanted[target] += 1 - smoothing
    losses.append(-(wanted * log_p).sum())
  return float(np.mean(losses))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_over_the_real_candidates(smoothing):
  rng = np.random.default_rng(0)
  scores = 3 * rng.standard_normal((6, 5)).astype(np.float32)
  mask = np.arange(5) < np.array([5, 4, 2, 5, 3, 0])[:, None]
  answer = np.array([0, 3, 1, -1, 2, -1])
  scores[~mask] = 50.0  # A masked candidate must not win.
  loss, metrics = choice_loss(scores, jnp.asarray(mask), jnp.asarray(answer), smoothing)
  assert float(loss) == pytest.approx(reference(scores, mask, answer, smoothing), rel=1e-5)
  right, count = metrics["answer/accuracy"]
  best = np.where(mask, scores, -np.inf).argmax(1)
  assert (float(right), float(count)) == (float(((best == answer) & (answer >= 0)).sum()), 4.0)
  grads = jax.grad(lambda x: choice_loss(x, jnp.asarray(mask), jnp.asarray(answer), smoothing)[0])(
      jnp.asarray(scores)
  )
  assert np.isfinite(grads).all()
  assert not np.any(np.asarray(grads)[~mask])
  assert not np.any(np.asarray(grads)[answer < 0])


def config(**changes):
  found = common.base("test", "multiple_choice_qa")
  found.model = tiny.config({"num_answers": 1, **changes})
  found.data.candidates, found.data.video_segments, found.data.text_segments = K, 3, 2
  return found


def batch(rows: int = 4) -> dict[str, np.ndarray]:
  fields, words = tiny.batch(rows), tiny.batch(rows * K, seed=1)
  fields |= {"align_" + name: fields[name] for name in mla.TEXT}
  for name in mla.TEXT:
    fields["candidate_" + name] = words[name].reshape(rows, K, -1)
  return fields | {
      "candidate_mask": np.arange(K) < np.array([[3], [2], [3], [3]]),
      "answer": np.array([0, 1, -1, 2], np.int32),
      "video_key": np.arange(rows),
      "mask": np.ones(rows, bool),
      "overlap": np.full((rows, 3, 2), -1.0),
  }


def scores_of(found, fields):
  task, model = MultipleChoiceQA.from_config(found), build.build_model(found.model)

  def forward(module):
    video = task.questions.video(module, fields, train=False)
    asked = task.questions.encode_asked(module, task.questions.asked(fields, "candidate_"))
    return task._scores(module, asked, video, train=False)

  return model, np.asarray(model.apply({"params": tiny.params(model)}, method=forward))


@pytest.mark.parametrize("scoring", ["head", "contrastive"])
def test_a_score_is_that_of_the_candidate_with_its_own_video(scoring):
  found = config(num_answers=1 if scoring == "head" else 0)
  found.eval.scoring = scoring
  fields = batch()
  model, scores = scores_of(found, fields)
  assert scores.shape == (4, K)
  for k in range(K):
    alone = fields | {name: fields["candidate_" + name][:, k] for name in mla.TEXT}
    outputs = tiny.run(model, tiny.params(model), alone)
    if scoring == "head":
      expected = outputs["logits"][:, 0]
    else:
      cosine = (outputs["text"].global_embedding * outputs["video"].global_embedding).sum(-1)
      expected = cosine * np.exp(outputs["scales"].global_log_scale)
    np.testing.assert_allclose(scores[:, k], expected, atol=1e-4)
  assert np.ptp(scores) > 0.01


def test_the_text_only_twin_reads_no_video():
  found = config(use_video=False)
  variants.without_video(found)
  fields = {name: value for name, value in batch().items() if name not in tiny.VIDEO_KEYS}
  _, scores = scores_of(found, fields)
  assert np.isfinite(scores).all()
  task, model = MultipleChoiceQA.from_config(found), build.build_model(found.model)
  loss, metrics = task.loss(
        model, tiny.params(model), fields, jax.random.key(0), make_mesh(found.mesh)
    )
  assert set(metrics) == {"loss/answer", "answer/accuracy"}
  assert float(loss) > 0


def test_alignment_reads_the_right_candidate_and_the_choice_does_not():
  found = config()
  task, model = MultipleChoiceQA.from_config(found), build.build_model(found.model)

  def metrics(fields):
    return task.loss(
        model, tiny.params(model), fields, jax.random.key(0), make_mesh(found.mesh)
    )[1]

  fields = batch()
  other = fields | {"align_text": np.roll(fields["align_text"], 3, axis=1)}
  first, second = metrics(fields), metrics(other)
  assert float(first["loss/answer"][0]) == pytest.approx(float(second["loss/answer"][0]), rel=1e-6)
  assert abs(float(first["loss/global"][0] - second["loss/global"][0])) > 1e-4


@pytest.mark.parametrize(
    ("changes", "scoring", "message"),
    [
        ({"num_answers": 0}, "head", "scoring=contrastive"),
        ({"num_answers": 7}, "head", "scoring=contrastive"),
        ({"num_answers": 2, "head": "span"}, "head", "scoring=contrastive"),
        ({"use_video": False}, "contrastive", "use_video=True"),
        ({}, "contrastiv", "did you mean"),
    ],
)
def test_a_model_that_cannot_choose_says_what_would(changes, scoring, message):
  found = config(**changes)
  found.eval.scoring = scoring
  with pytest.raises(UserError, match=message):
    MultipleChoiceQA.from_config(found)


def test_something_must_train_the_cosine_that_chooses():
  found = config(num_answers=0)
  found.eval.scoring = "contrastive"
  found.loss.global_weight = 0.0
  MultipleChoiceQA.from_config(found)  # By the choice itself.
  found.loss.task_weight = 0.0
  with pytest.raises(UserError, match=r"loss.global_weight=0.0 .*: train with it above 0"):
    MultipleChoiceQA.from_config(found)
