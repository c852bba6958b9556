from collections.abc import Mapping
import dataclasses
import functools
import pathlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax import config_reads, sharding
from mla_jax.errors import UserError
from mla_jax.models import bert_encoder, build, layers, pooling, pretrained
from mla_jax.models.text_encoder import TextConfig
from tests import bert_checkpoint
from tests.models import tiny

WIDTH, LAYERS, HEADS, LENGTH = 8, 3, 2, 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  path = tmp_path_factory.mktemp("bert")
  bert_checkpoint.write(path)
  return path


def _config(folder: pathlib.Path, frozen: int = -1) -> TextConfig:
  return TextConfig(
      kind="bert",
      vocab_size=len(bert_checkpoint.VOCABULARY),
      layers=LAYERS,
      heads=HEADS,
      max_length=16,
      token_dropout=0.0,
      width=WIDTH,
      norm_epsilon=1e-12,
      pretrained=str(folder),
      frozen_layers=frozen,
  )


def _batch() -> tuple[np.ndarray, np.ndarray]:
  rng = np.random.default_rng(1)
  ids = rng.integers(0, len(bert_checkpoint.VOCABULARY), (6, LENGTH)).astype(np.int32)
  return ids, np.arange(LENGTH) < np.array([1, 2, 4, 7, 8, 9])[:, None]


@functools.cache
def _made(
    folder: pathlib.Path, frozen: int, scan: bool = False, remat: str = "none", dropout: float = 0.0
) -> tuple[bert_encoder.Bert, Any]:
  """An encoder with the weights of the folder."""
  common = layers.Common(WIDTH, dropout=dropout, scan=scan, remat=remat)
  bert = bert_encoder.Bert(common, _config(folder, frozen))
  shapes = jax.eval_shape(
      functools.partial(bert.init, train=False), jax.random.key(0), *_batch()
  )["params"]
  named = {f"text/bert/{k}": v.shape for k, v in sharding.named_leaves(shapes).items()}
  values = pretrained.read_bert(bert.config, named)
  params = jax.tree_util.tree_map_with_path(
      lambda path, _: jnp.asarray(values[f"text/bert/{sharding.path_name(path)}"]), shapes
  )
  return bert, params


def _states(bert: bert_encoder.Bert, params: Any, *, train: bool = False) -> np.ndarray:
  return np.asarray(_run(bert, params, train))


@functools.partial(jax.jit, static_argnums=(0, 2))
def _run(bert: bert_encoder.Bert, params: Any, train: bool) -> jax.Array:
  rngs = {"dropout": jax.random.key(3)}
  return bert.apply({"params": params}, *_batch(), train=train, rngs=rngs)


@pytest.mark.parametrize(
    ("frozen", "scan", "remat"),
    [(-1, False, "none"), (1, False, "full"), (2, True, "none"), (3, True, "full")],
)
def test_the_states_are_those_of_a_plain_numpy_bert(folder, frozen, scan, remat) -> None:
  tensors = bert_checkpoint.random_tensors(bert_checkpoint.SIZES)
  ids, mask = _batch()
  found = _states(*_made(folder, frozen, scan, remat))
  expected = bert_checkpoint.forward(tensors, HEADS, ids, mask)
  for row, real, states in zip(found, mask, expected, strict=True):
    np.testing.assert_allclose(row[real], states, atol=2e-5)


def test_a_fresh_pool_gives_the_mean_of_the_real_states(folder) -> None:
  """The sentence embedding of the sentence-transformers: [CLS] and [SEP] count, padding not."""
  ids, mask = _batch()
  states = _states(*_made(folder, -1))
  pool = pooling.AttentionPool(2)
  arguments = (states, mask[:, None])
  pooled = pool.apply(pool.init(jax.random.key(0), *arguments), *arguments)[:, 0]
  tensors = bert_checkpoint.random_tensors(bert_checkpoint.SIZES)
  expected = [s.mean(axis=0) for s in bert_checkpoint.forward(tensors, HEADS, ids, mask)]
  np.testing.assert_allclose(pooled, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("frozen", "scan"), [(-1, False), (0, False), (2, False), (3, False), (0, True), (2, True)]
)
def test_what_is_frozen_has_no_gradient_and_all_else_has(folder, frozen, scan) -> None:
  bert, params = _made(folder, frozen, scan)

  def loss(params: Any) -> jax.Array:
    return jnp.sin(_run(bert, params, False)).sum()

  grads = sharding.named_leaves(jax.jit(jax.grad(loss))(params))
  patterns = bert_encoder.frozen_parameters(bert.config)
  still = {n for n in grads if any(re.fullmatch(p, f"text/bert/{n}") for p in patterns)}
  assert {name for name, grad in grads.items() if not np.any(grad)} == still
  if not scan:
    assert {name.split("/")[0] for name in grads if name not in still} == {
        f"layer_{number}" for number in range(max(frozen, 0), LAYERS)
    } | ({"word", "position", "token_type", "norm"} if frozen < 0 else set())


def test_frozen_layers_cost_no_backward_pass(folder) -> None:
  def flops(frozen: int, *, backward: bool) -> float:
    bert, params = _made(folder, frozen)

    def loss(params: Any) -> jax.Array:
      return bert.apply({"params": params}, *_batch(), train=False).sum()

    function = jax.value_and_grad(loss) if backward else loss
    costs = jax.jit(function).lower(params).cost_analysis()
    assert costs is not None
    return costs["flops"]

  forward = flops(3, backward=False)
  costs = [flops(frozen, backward=True) for frozen in (-1, 0, 1, 2, 3)]
  assert costs == sorted(costs, reverse=True)
  assert costs[0] > 2.0 * forward
  assert costs[-1] < 1.1 * forward


def test_dropout_is_in_the_trained_layers_alone(folder) -> None:
  expected = _states(*_made(folder, -1))
  frozen = _states(*_made(folder, 3, dropout=0.5), train=True)
  np.testing.assert_allclose(frozen, expected, atol=1e-5)
  for layers_frozen in (-1, 0, 2):
    dropped = _states(*_made(folder, layers_frozen, dropout=0.5), train=True)
    assert np.abs(dropped - expected).max() > 0.1


def test_half_precision_keeps_the_states(folder) -> None:
  bert, params = _made(folder, -1)
  common = dataclasses.replace(bert.common, dtype=jnp.bfloat16)
  half = _run(bert.clone(common=common), params, False)
  assert half.dtype == jnp.bfloat16
  difference = half.astype(np.float32) - _states(bert, params)
  assert np.sqrt(np.mean(np.square(difference))) < 0.05


def _model_config(folder: pathlib.Path, changes: Mapping[str, Any] = {}) -> Any:
  return tiny.config({
      "text.kind": "bert",
      "text.width": WIDTH,
      "text.layers": LAYERS,
      "text.vocab_size": len(bert_checkpoint.VOCABULARY),
      "text.pretrained": str(folder),
      **changes,
  })


def _encode(
    folder: pathlib.Path, ids: np.ndarray, *, token_dropout: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
  """States and mask of an encoder in a model of width 16, in training."""
  config = dataclasses.replace(_config(folder), layers=1, token_dropout=token_dropout)
  encoder = bert_encoder.BertEncoder(layers.Common(16), config)

  @jax.jit
  def run(ids: jax.Array) -> Any:
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    return encoder.init_with_output(rngs, ids, _batch()[1], train=True)[0]

  states, mask = run(ids)
  return np.asarray(states), np.asarray(mask)


@pytest.mark.parametrize("token_dropout", [0.0, 0.5])
def test_nothing_sees_padding_or_a_hidden_token(folder, token_dropout) -> None:
  ids, mask = _batch()
  states, left = _encode(folder, ids, token_dropout=token_dropout)
  assert states.shape == (*ids.shape, 16)
  assert np.any(mask & ~left) == (token_dropout > 0)
  assert not np.any(left & ~mask)
  assert not np.any(states[~left])
  changed = np.where(left, ids, (ids + 1) % 30)
  np.testing.assert_array_equal(_encode(folder, changed, token_dropout=token_dropout)[0], states)
  seen = np.where(left & (np.arange(LENGTH) == left.argmax(1)[:, None]), (ids + 1) % 30, ids)
  others = np.abs(_encode(folder, seen, token_dropout=token_dropout)[0] - states).max(axis=(1, 2))
  assert others.min() > 1e-3


def test_of_the_models_width_nothing_is_projected(folder) -> None:
  for width, names in ((0, {"bert"}), (WIDTH, {"bert", "projection", "projection_norm"})):
    model = build.build_model(_model_config(folder, {"text.width": width}))
    made = jax.eval_shape(model.init, jax.random.key(0), tiny.batch())
    assert set(made["params"]["text"]) == names


def test_words_are_the_means_of_the_tokens_before_any_layer(folder) -> None:
  encoder = bert_encoder.BertEncoder(layers.Common(16), _config(folder, LAYERS))
  ids, mask = _batch()
  mask = mask.copy()
  mask[0] = False  # A text without tokens.
  params = encoder.init(jax.random.key(0), ids, mask, train=False)["params"]

  def words(params: Any, ids: Any = ids) -> jax.Array:
    return encoder.apply({"params": params}, ids, mask, method=encoder.words)

  table = np.asarray(params["bert"]["word"]["embedding"])
  expected = [table[row[real]].mean(axis=0) for row, real in zip(ids[1:], mask[1:], strict=True)]
  tiny.assert_close(words(params)[1:], np.stack(expected), atol=1e-6)
  assert not np.any(words(params)[0])
  hidden = np.where(mask, ids, (ids + 1) % 30)
  np.testing.assert_array_equal(words(params, hidden), words(params))
  gradients = jax.grad(lambda params: jnp.sum(jnp.square(words(params))))(params)
  assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients))


def test_every_key_of_the_config_is_read(folder) -> None:
  recorder = config_reads.record_reads(_model_config(folder))
  build.build_model(recorder)
  assert config_reads.unread_keys(recorder) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text.kind": "brt"}, r"model.text.kind='brt': unknown: did you mean 'bert'"),
        ({"text.heads": 3}, r"model.text.heads: 3 does not divide model.text.width 8"),
        ({"text.heads": 0}, r"model.text.heads: 0 does not divide"),
        ({"text.frozen_layers": 4}, r"frozen_layers=4: must be from -1 .* model.text.layers=3"),
        ({"text.frozen_layers": -2}, r"frozen_layers=-2: must be from -1"),
        ({"text.frozen_layers": 2, "text.pretrained": None}, r"random weights would be frozen"),
        ({"text.kind": "scratch"}, r"model.text.width: a text encoder from scratch has none"),
        ({"text.kind": "scratch", "text.width": 0}, r"model.text.pretrained: a text encoder from"),
        (
            {"text.kind": "scratch", "text.width": 0, "text.pretrained": None,
             "text.frozen_layers": 0},
            r"model.text.frozen_layers: a text encoder from scratch has none",
        ),
        ({"fusion.words": True}, r"model.fusion.words: is for a text encoder whose embed"),
        (
            {"fusion.words": True, "text.frozen_layers": 0},
            r"model.fusion.words: is for what is pooled: set model.fusion.kind to 'late' or",
        ),
    ],
)
def test_a_config_no_encoder_fits_is_refused(folder, changes, said) -> None:
  with pytest.raises(UserError, match=said) as caught:
    build.build_model(_model_config(folder, changes))
  assert "\n" not in str(caught.value)
