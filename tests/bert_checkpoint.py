"""A small random BERT in the files of `transformers`, and its forward pass in plain numpy."""

from collections.abc import Mapping
import json
import math
import pathlib
from typing import Any

import numpy as np
from safetensors.numpy import save_file
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors

from tests import tiny

Tensors = dict[str, np.ndarray]
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = (
    *SPECIAL, *_LETTERS, *(f"##{x}" for x in _LETTERS), ".", "?", "!", ",", "the", "what", "dog",
    "animal", "does", "##ing", *tiny.COLOURS, *tiny.ACTIONS,
)
SIZES = {
    "vocab_size": len(VOCABULARY),
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "hidden_size": 8,
    "max_position_embeddings": 16,
    "layer_norm_eps": 1e-12,
}


def write(folder: pathlib.Path, sizes: Mapping[str, Any] = {}) -> Tensors:
  """Writes config.json, model.safetensors and tokenizer.json; returns the tensors."""
  folder.mkdir(parents=True, exist_ok=True)
  sizes = SIZES | dict(sizes)
  others = {
      "model_type": "bert",
      "hidden_act": "gelu",
      "intermediate_size": 4 * sizes["hidden_size"],
      "type_vocab_size": 2,
  }
  (folder / "config.json").write_text(json.dumps(others | sizes))
  tensors = random_tensors(sizes)
  save_file(tensors, folder / "model.safetensors")
  tokenizer().save(str(folder / "tokenizer.json"))
  return tensors


def random_tensors(sizes: Mapping[str, Any]) -> Tensors:
  """Every tensor of a BertModel by its name; large enough that each matters."""
  rng, width = np.random.default_rng(0), sizes["hidden_size"]
  tensors: Tensors = {}

  def norm(name: str) -> None:
    tensors[f"{name}.LayerNorm.weight"] = rng.normal(1.0, 0.3, width).astype(np.float32)
    tensors[f"{name}.LayerNorm.bias"] = rng.normal(0.0, 0.3, width).astype(np.float32)

  def dense(name: str, inputs: int, outputs: int) -> None:
    scale = 1.5 / np.sqrt(inputs)
    tensors[f"{name}.weight"] = rng.normal(0.0, scale, (outputs, inputs)).astype(np.float32)
    tensors[f"{name}.bias"] = rng.normal(0.0, 0.3, outputs).astype(np.float32)

  tables = {
      "word": sizes["vocab_size"], "position": sizes["max_position_embeddings"], "token_type": 2
  }
  for name, rows in tables.items():
    table = rng.normal(size=(rows, width)).astype(np.float32)
    tensors[f"embeddings.{name}_embeddings.weight"] = table
  tensors["embeddings.position_ids"] = np.arange(sizes["max_position_embeddings"])[None]
  norm("embeddings")
  for number in range(sizes["num_hidden_layers"]):
    layer = f"encoder.layer.{number}"
    for name in ("query", "key", "value"):
      dense(f"{layer}.attention.self.{name}", width, width)
    dense(f"{layer}.attention.output.dense", width, width)
    norm(f"{layer}.attention.output")
    dense(f"{layer}.intermediate.dense", width, 4 * width)
    dense(f"{layer}.output.dense", 4 * width, width)
    norm(f"{layer}.output")
  dense("pooler.dense", width, width)
  return tensors


def forward(tensors: Tensors, heads: int, ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
  """The hidden states [L, W] of each text, one text at a time and without its padding."""
  wide = {name: value.astype(np.float64) for name, value in tensors.items()}
  return [_forward(wide, heads, row[real]) for row, real in zip(ids, mask, strict=True)]


def _forward(t: Tensors, heads: int, ids: np.ndarray) -> np.ndarray:
  def norm(x: np.ndarray, name: str) -> np.ndarray:
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    return x * t[f"{name}.LayerNorm.weight"] + t[f"{name}.LayerNorm.bias"]

  def dense(x: np.ndarray, name: str) -> np.ndarray:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

  x = t["embeddings.word_embeddings.weight"][ids]
  x = x + t["embeddings.position_embeddings.weight"][: len(ids)]
  x = norm(x + t["embeddings.token_type_embeddings.weight"][0], "embeddings")
  number = 0
  while f"encoder.layer.{number}.output.dense.weight" in t:
    layer = f"encoder.layer.{number}"
    query, key, value = (
        np.split(dense(x, f"{layer}.attention.self.{name}"), heads, axis=-1)
        for name in ("query", "key", "value")
    )
    mixed = []
    for q, k, v in zip(query, key, value, strict=True):
      weights = np.exp(q @ k.T / math.sqrt(q.shape[-1]))
      mixed.append(weights / weights.sum(-1, keepdims=True) @ v)
    attended = dense(np.concatenate(mixed, axis=-1), f"{layer}.attention.output.dense")
    x = norm(x + attended, f"{layer}.attention.output")
    hidden = dense(x, f"{layer}.intermediate.dense")
    hidden = hidden * 0.5 * (1.0 + np.vectorize(math.erf)(hidden / math.sqrt(2.0)))
    x = norm(x + dense(hidden, f"{layer}.output.dense"), f"{layer}.output")
    number += 1
  return x


def tokenizer() -> tokenizers.Tokenizer:
  """Lower-casing WordPiece like BERT's, cutting and padding at lengths that are nobody's here."""
  vocabulary = {piece: number for number, piece in enumerate(VOCABULARY)}
  made = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
  made.normalizer = normalizers.BertNormalizer(lowercase=True)
  made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
  made.post_processor = processors.TemplateProcessing(
      single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
  )
  made.add_special_tokens(list(SPECIAL))
  made.enable_truncation(5)
  made.enable_padding(length=9)
  return made
