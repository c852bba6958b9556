"""Counts: both losses against numpy, what is predicted, and ordered thresholds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import common, variants
from mla_jax.errors import UserError
from mla_jax.models import build, mla
from mla_jax.sharding import make_mesh
from mla_jax.tasks.counting import Counting, count_loss, predicted_count
from tests.models import tiny

COUNT = np.array([0, 3, -1, 10, 7])


def test_regression_is_the_squared_error_of_the_raw_label():
  values = np.array([[1.5], [2.0], [99.0], [11.0], [7.25]], np.float32)
  loss, metrics = count_loss(jnp.asarray(values), jnp.asarray(COUNT), ordinal=False)
  errors = (values[:, 0] - COUNT)[COUNT >= 0] ** 2
  assert float(loss) == pytest.approx(errors.mean(), rel=1e-6)
  total, rows = metrics["answer/squared_error"]
  assert (float(total), float(rows)) == (pytest.approx(errors.sum()), 4.0)


def test_the_ordinal_loss_sums_the_thresholds():
  logits = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32)
  loss, _ = count_loss(jnp.asarray(logits), jnp.asarray(COUNT), ordinal=True)
  probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
  expected = []
  for p, count in zip(probability, COUNT, strict=True):
    if count >= 0:  # P(count > k) is wanted 1 for the first `count` thresholds.
      expected.append(-np.log(p[:count]).sum() - np.log(1 - p[count:]).sum())
  assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)
  np.testing.assert_allclose(
      predicted_count(jnp.asarray(logits), ordinal=True), probability.sum(1), rtol=1e-5
  )


@pytest.mark.parametrize("ordinal", [False, True])
def test_a_batch_without_a_count_costs_nothing(ordinal):
  shape = (2, 10 if ordinal else 1)
  nothing = jnp.array([-1, -1])
  loss, grads = jax.value_and_grad(lambda x: count_loss(x, nothing, ordinal=ordinal)[0])(
      jnp.ones(shape)
  )
  assert float(loss) == 0.0
  assert not np.any(grads)


def config(head: str, outputs: int, **changes):
  found = common.base("test", "counting")
  found.model = tiny.config({"head": head, "num_answers": outputs, **changes})
  found.data.video_segments, found.data.text_segments = 3, 2
  return found


def batch(rows: int = 5):
  fields = tiny.batch(rows)
  fields |= {"align_" + name: fields[name] for name in mla.TEXT}
  return fields | {
      "count": COUNT.astype(np.int32),
      "video_key": np.arange(rows),
      "mask": np.ones(rows, bool),
      "overlap": np.full((rows, 3, 2), -1.0),
  }


def test_the_ordinal_head_orders_its_thresholds_and_learns_them():
  found = config("ordinal", 10)
  task, model = Counting.from_config(found), build.build_model(found.model)
  fields, params = batch(), tiny.params(model)
  logits = np.asarray(tiny.run(model, params, fields)["logits"])
  assert logits.shape == (5, 10)
  assert (np.diff(logits, axis=1) < 0).all()  # P(count > k) falls with k.
  assert np.ptp(logits[:, 0]) > 1e-3  # And depends on the example.
  mesh = make_mesh(found.mesh)

  @jax.jit  # One program and not one for each operation.
  def gradient(params):
    return jax.grad(lambda p: task.loss(model, p, fields, jax.random.key(0), mesh)[0])(params)

  grads = gradient(params)
  for name in ("first", "steps"):
    assert np.any(np.asarray(grads["heads"]["answer"][name]))


def test_the_text_only_twin_reads_no_video():
  found = config("answer", 1, use_video=False)
  variants.without_video(found)
  task, model = Counting.from_config(found), build.build_model(found.model)
  fields = {name: value for name, value in batch().items() if name not in tiny.VIDEO_KEYS}
  loss, metrics = task.loss(
      model, tiny.params(model), fields, jax.random.key(0), make_mesh(found.mesh)
  )
  assert np.isfinite(loss)
  assert set(metrics) == {"loss/answer", "answer/squared_error"}


@pytest.mark.parametrize(("head", "outputs"), [("answer", 0), ("answer", 10), ("ordinal", 7)])
def test_a_model_without_a_count_is_refused(head, outputs):
  with pytest.raises(UserError, match="no head that counts"):
    Counting.from_config(config(head, outputs))
