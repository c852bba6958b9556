"""The answer loss against numpy, and what counts in it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import common
from mla_jax.errors import UserError
from mla_jax.models import build, mla
from mla_jax.sharding import make_mesh
from mla_jax.tasks import open_ended_qa
from mla_jax.tasks.open_ended_qa import OpenEndedQA, answer_loss
from tests.models import tiny
from tests.tasks.dump_metrics_test import questions, texts_of


def reference(logits: np.ndarray, answer: np.ndarray, smoothing: float) -> float:
  losses = []
  for row, target in zip(logits.astype(np.float64), answer, strict=True):
    if target < 0:
      continue
    log_p = row - np.log(np.exp(row - row.max()).sum()) - row.max()
    wanted = np.full(len(row), smoothing / len(row))
    wanted[target] += 1 - smoothing
    losses.append(-(wanted * log_p).sum())
  return float(np.mean(losses))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mean_over_the_rows_with_an_answer(smoothing):
  rng = np.random.default_rng(0)
  logits = rng.standard_normal((6, 5)).astype(np.float32) * 3
  answer = np.array([0, 4, -1, 2, -1, 2])
  loss, metrics = answer_loss(jnp.asarray(logits), jnp.asarray(answer), smoothing)
  assert float(loss) == pytest.approx(reference(logits, answer, smoothing), rel=1e-5)
  right, count = metrics["answer/accuracy"]
  expected = sum(a >= 0 and row.argmax() == a for row, a in zip(logits, answer, strict=True))
  assert (float(right), float(count)) == (expected, 4.0)


def test_rows_without_an_answer_have_no_gradient():
  logits = jnp.ones((3, 4))
  grads = jax.grad(lambda x: answer_loss(x, jnp.array([1, -1, 2]), 0.0)[0])(logits)
  assert not np.any(grads[1])
  assert np.all(np.any(np.asarray(grads)[[0, 2]], axis=1))


def test_a_batch_without_any_answer_costs_nothing():
  loss, grads = jax.value_and_grad(lambda x: answer_loss(x, jnp.array([-1, -1]), 0.0)[0])(
      jnp.ones((2, 3))
  )
  assert float(loss) == 0.0
  assert not np.any(grads)


def several_texts(rows: int, texts: int, *, seed: int) -> dict[str, np.ndarray]:
  """A training batch with `texts` texts a row, the first two of them questions."""
  video, words = tiny.batch(rows), tiny.batch(rows * texts, seed=seed)
  fields = {name: video[name] for name in tiny.VIDEO_KEYS} | {"video_key": np.arange(rows)}
  for name in mla.TEXT:
    fields[name] = fields[f"align_{name}"] = words[name].reshape(rows, texts, -1)
  answer = np.random.default_rng(seed).integers(-1, 7, (rows, texts))
  fields["answer"] = np.where(np.arange(texts) < 2, answer, -1)
  fields["mask"] = np.ones((rows, texts), bool)
  fields["overlap"] = np.full((rows, texts, 3, 2), -1.0)
  return fields


def test_texts_beside_the_questions_align_and_are_not_answered():
  config = common.base("test", "open_ended_qa")
  config.model = tiny.config()
  config.data.captions, config.data.video_segments, config.data.text_segments = 2, 3, 2
  task, model = OpenEndedQA.from_config(config), build.build_model(config.model)
  mesh = make_mesh(config.mesh)

  params = tiny.params(model)

  @jax.jit  # One program and not one for each operation.
  def metrics(batch):
    return task.loss(model, params, batch, jax.random.key(0), mesh)[1]

  batch = several_texts(5, 4, seed=1)
  alone = {
      name: value[:, :2] if value.shape[:2] == (5, 4) else value for name, value in batch.items()
  }
  both, own = metrics(batch), metrics(alone)
  for name in ("loss/answer", "answer/accuracy"):
    np.testing.assert_allclose(both[name], own[name], rtol=1e-5)
  assert abs(float(both["loss/global"][0] - own["loss/global"][0])) > 1e-3


def test_a_model_that_diverged_gives_no_accuracy():
  """Its argmax would be the first class, the most frequent answer of training."""
  texts = texts_of(questions(3, answer=["a", "a", "b"]), missing=1)
  probability = np.array([0.5, np.nan], np.float32)
  with pytest.raises(UserError, match=r"probabilities of example 1 is not finite \(1 of 2"):
    open_ended_qa._evaluation(5, texts, ["a", "a"], probability, ["a", "b"])
