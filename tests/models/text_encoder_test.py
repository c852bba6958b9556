import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.models import build, mla, text_encoder
from tests.models import tiny


def _encode(model: mla.MLA, batch: tiny.Batch, *, train: bool = False) -> mla.Encoded:
  result = tiny.run(model, tiny.params(model), batch, jax.random.key(0), train=train)["text"]
  return jax.tree.map(np.asarray, result)


def test_hidden_tokens_are_a_share_of_the_real_ones() -> None:
  mask = jnp.arange(50) < jnp.arange(1, 201)[:, None] % 50
  kept = text_encoder.hide_tokens(jax.random.key(0), mask, 0.3)
  assert not np.any(kept & ~mask)
  assert abs(1.0 - kept.sum() / mask.sum() - 0.3) < 0.03
  np.testing.assert_array_equal(kept.any(axis=1), mask.any(axis=1))


def test_a_text_keeps_a_token_whatever_the_rate() -> None:
  mask = jnp.array([[True, True, False], [False, False, False]])
  kept = text_encoder.hide_tokens(jax.random.key(0), mask, 0.999)
  np.testing.assert_array_equal(kept, mask)


def test_nothing_sees_a_hidden_token() -> None:
  model = build.build_model(tiny.config({"text.token_dropout": 0.5}))
  batch = tiny.batch(8)
  encoded = _encode(model, batch, train=True)
  hidden = batch["text_mask"] & ~encoded.mask
  assert hidden.any()
  assert not np.any(encoded.states[hidden])
  changed = {**batch, "text": np.where(hidden, (batch["text"] + 1) % 30, batch["text"])}
  tiny.assert_close(_encode(model, changed, train=True), encoded, atol=0.0)
  members = [(batch["text_segment"] == n) & encoded.mask for n in (1, 2)]
  np.testing.assert_array_equal(encoded.segment_mask, np.stack(members, 1).any(axis=-1))


def test_tokens_are_hidden_in_training_alone() -> None:
  model = build.build_model(tiny.config({"text.token_dropout": 0.5}))
  batch = tiny.batch(8)
  np.testing.assert_array_equal(_encode(model, batch).mask, batch["text_mask"])


def test_order_matters() -> None:
  model = build.build_model(tiny.config())
  batch = tiny.batch(2)
  batch["text_mask"][:] = True
  turned = {**batch, "text": batch["text"][:, ::-1]}
  difference = _encode(model, batch).global_embedding - _encode(model, turned).global_embedding
  assert np.abs(difference).max() > 1e-2


def test_a_text_longer_than_the_positions_is_refused() -> None:
  model = build.build_model(tiny.config())
  batch = {key: np.tile(value, (1, 3)) for key, value in tiny.batch(2).items() if "text" in key}
  with pytest.raises(UserError, match=r"model.text.max_length: is 16.*24 tokens.*text_length"):
    _encode(model, batch)
