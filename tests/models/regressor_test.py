"""The regressor is the MLP it is said to be, and nothing of the encoders learns from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.losses.regression import regression
from mla_jax.losses.types import Side
from mla_jax.models import build, regressor
from tests.models import tiny

BERT = {"text.kind": "bert", "text.width": 16, "text.identity_heads": True, "embed_dim": 16}
WITH = BERT | {"video.regressor_hidden": 6}


def clips() -> tuple[np.ndarray, np.ndarray]:
  """Features `[4, 5, 12]`; the last clip has no frame, and padding holds what must not be seen."""
  rng = np.random.default_rng(0)
  mask = np.arange(5) < np.array([5, 3, 1, 0])[:, None]
  return np.where(mask[..., None], rng.normal(1.0, 2.0, (4, 5, 12)), 1e9).astype(np.float32), mask


def test_it_is_an_mlp_of_the_mean_frame_standardised_and_of_one_length() -> None:
  features, mask = clips()
  module = regressor.Regressor(hidden=6, embed_dim=8, dropout=0.5)
  params = module.init(jax.random.key(0), features, mask, train=False)["params"]
  rng = np.random.default_rng(1)
  params = jax.tree.map(lambda leaf: rng.normal(1.0, 0.5, leaf.shape).astype(np.float32), params)
  found = np.asarray(module.apply({"params": params}, features, mask, train=False))
  assert not np.any(found[3])
  mean = np.stack([clip[real].mean(axis=0) for clip, real in zip(features[:3], mask, strict=False)])
  x = (mean - params["standard"]["mean"]) / params["standard"]["spread"]
  x *= np.sqrt(12) / np.linalg.norm(x, axis=-1, keepdims=True)
  x = x @ params["hidden"]["kernel"] + params["hidden"]["bias"]
  x = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
  wanted = x @ params["projection"]["kernel"]
  wanted /= np.linalg.norm(wanted, axis=-1, keepdims=True)
  np.testing.assert_allclose(found[:3], wanted, atol=1e-5)


def test_features_are_dropped_in_training_alone() -> None:
  features, mask = clips()
  module = regressor.Regressor(hidden=6, embed_dim=8, dropout=0.5)
  params = module.init(jax.random.key(0), features, mask, train=False)

  def guess(seed: int, *, train: bool) -> np.ndarray:
    rngs = {"dropout": jax.random.key(seed)}
    return np.asarray(module.apply(params, features, mask, train=train, rngs=rngs))

  np.testing.assert_array_equal(guess(0, train=False), guess(1, train=False))
  assert np.abs(guess(0, train=True) - guess(1, train=True)).max() > 0.01


def test_the_target_of_a_text_is_its_plain_mean_whatever_its_head_has_learned() -> None:
  model, batch = build.build_model(tiny.config(WITH)), tiny.batch()
  params = jax.jit(model.init)(jax.random.key(0), batch)["params"]
  text = tiny.run(model, params, batch)["text"]
  np.testing.assert_allclose(text.pretrained, text.global_embedding, atol=1e-5)  # As heads begin.
  learned = tiny.run(model, tiny.params(model), batch)["text"]
  rows = zip(learned.states, learned.mask, strict=True)
  mean = np.stack([states[real].mean(axis=0) for states, real in rows])
  mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
  np.testing.assert_allclose(learned.pretrained, mean, atol=1e-5)
  assert np.abs(learned.pretrained - learned.global_embedding).max() > 0.1


def test_only_the_regressor_learns_from_its_loss() -> None:
  model, batch = build.build_model(tiny.config(WITH)), tiny.batch()

  def loss(params: jax.Array) -> jax.Array:
    found = tiny.run(model, params, batch)
    real = jnp.ones(len(batch["text"]), bool)
    video, text = (
        Side(found[side].pretrained, real, jnp.arange(len(real))) for side in ("video", "text")
    )
    return regression(video, text).loss

  gradients = tiny.named(jax.grad(loss)(tiny.params(model)))
  learning = {name for name, gradient in gradients.items() if np.any(gradient)}
  path = "heads/regressor"
  assert learning == {f"{path}/hidden/kernel", f"{path}/hidden/bias", f"{path}/projection/kernel"}


def test_without_it_neither_side_has_a_place_there() -> None:
  model = build.build_model(tiny.config(BERT))
  found = tiny.run(model, tiny.params(model), tiny.batch())
  assert found["video"].pretrained is None and found["text"].pretrained is None


@pytest.mark.parametrize(
    "changes", [{"video.regressor_hidden": 6}, WITH | {"video.kind": "pixels"}]
)
def test_what_has_nothing_to_guess_or_to_guess_from_is_one_line(changes: dict) -> None:
  with pytest.raises(UserError, match=r"regressor_hidden: .* set model.video.kind='features' and"):
    build.build_model(tiny.config(changes))
