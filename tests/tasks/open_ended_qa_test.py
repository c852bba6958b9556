"""The answer loss against numpy, and what counts in it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.tasks.open_ended_qa import answer_loss


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
