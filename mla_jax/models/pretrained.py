"""Reads the weights of a published BERT.

Its folder is as `transformers` writes it: `config.json` and `model.safetensors`, whose tensors are
`encoder.layer.0.attention.self.query.weight` and the like, with or without `bert.` in front. No
pickle is read.
"""

from collections.abc import Callable, Mapping
import json
import pathlib
import re
from typing import Any

import numpy as np

from mla_jax.errors import UserError
from mla_jax.log import logger
from mla_jax.models.bert_encoder import TOKEN_TYPES
from mla_jax.models.text_encoder import TextConfig
from mla_jax.pretrained_files import CONFIG, NAMES, WEIGHTS

PATH = "text/bert/"  # Of the encoder's parameters in the model's.
_FLOATS = ("F64", "F32", "F16", "BF16")
# The heads of BERT's own training, which nothing here has, and a table of 0, 1, 2, ...
_IGNORED = re.compile(r"(pooler|cls)\..+|embeddings\.position_ids")
_SIZES = {  # Name in config.json -> key of model.text.
    "vocab_size": "vocab_size",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "hidden_size": "width",
    "max_position_embeddings": "max_length",
    "layer_norm_eps": "norm_epsilon",
}
_EMBEDDINGS = {
    "word/embedding": "word_embeddings.weight",
    "position": "position_embeddings.weight",
    "token_type": "token_type_embeddings.weight",
    "norm/scale": "LayerNorm.weight",
    "norm/bias": "LayerNorm.bias",
}
_LAYER = {  # Our module -> theirs; the outputs of several stand side by side.
    "attention/query_key_value": tuple(f"attention.self.{x}" for x in ("query", "key", "value")),
    "attention/out": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "mlp/up": ("intermediate.dense",),
    "mlp/down": ("output.dense",),
    "mlp_norm": ("output.LayerNorm",),
}

Read = Callable[[str], np.ndarray]


def read_bert(
    config: TextConfig, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
  """The parameters of a model's `Bert` from the folder `config.pretrained`.

  Every one of them is filled, every tensor of the file used or logged as ignored.

  Args:
    config: of the model's text encoder.
    shapes: of the model's parameters by path "a/b/c"; those of other parts are left alone.

  Returns:
    Float32 arrays by path.

  Raises:
    UserError: a file is missing or damaged, its sizes are not those of the config, a tensor is
      missing, superfluous, of another shape or not of floats.
  """
  assert config.pretrained is not None
  folder = pathlib.Path(config.pretrained)
  path = folder / WEIGHTS
  wanted = {name: shape for name, shape in shapes.items() if name.startswith(PATH)}
  check_pretrained(config)
  with _open(path) as file:
    stored = {_plain_name(name): name for name in file.keys()}  # noqa: SIM118  It is no dict.
    used: set[str] = set()

    def read(name: str) -> np.ndarray:
      if name not in stored:
        raise UserError(f"{path}: has no tensor {name!r}: give the weights of a whole BERT")
      kind = file.get_slice(stored[name]).get_dtype()
      if kind not in _FLOATS:
        raise UserError(f"{path}: {name!r} is of type {kind}: give weights that are floats")
      used.add(name)
      value: np.ndarray = file.get_tensor(stored[name])
      return value.astype(np.float32)

    values = {
        name: _parameter(name.removeprefix(PATH), shape, read, config, path)
        for name, shape in wanted.items()
    }
  _report(path, set(stored), used)
  return values


def _parameter(
    name: str, shape: tuple[int, ...], read: Read, config: TextConfig, path: pathlib.Path
) -> np.ndarray:
  """One parameter; of scanned layers all of them, on axis 0."""
  frozen = max(config.frozen_layers, 0)
  scanned = {"layers": range(frozen, config.layers), "frozen_layers": range(frozen)}
  first, _, inside = name.partition("/")
  try:
    if name in _EMBEDDINGS:
      value = read(f"embeddings.{_EMBEDDINGS[name]}")
    elif first in scanned:
      value = np.stack([_of_layer(number, inside, read) for number in scanned[first]])
    else:
      value = _of_layer(int(first.removeprefix("layer_")), inside, read)
    found = str(value.shape)
  except ValueError:  # Of numpy, in joining.
    found = "parts that do not join"
  if found != str(shape):
    raise UserError(
        f"{path}: holds {found} for {PATH}{name}, the model has {shape}: it does not go with its"
        f" {CONFIG}: restore both from a copy"
    )
  return value


def _of_layer(number: int, name: str, read: Read) -> np.ndarray:
  """A parameter "attention/out/kernel" of a layer; PyTorch's kernels are the transposed ones."""
  module, leaf = name.rsplit("/", 1)
  ending = "bias" if leaf == "bias" else "weight"
  parts = [read(f"encoder.layer.{number}.{theirs}.{ending}") for theirs in _LAYER[module]]
  return np.concatenate([part.T for part in parts], axis=-1)


def _plain_name(name: str) -> str:
  """Without the prefix, and with norms' old names (as in bert-base-uncased) made new."""
  name = name.removeprefix("bert.")
  return re.sub(r"LayerNorm\.(gamma|beta)$", _new_name, name)


def _new_name(match: re.Match[str]) -> str:
  return "LayerNorm.weight" if match[1] == "gamma" else "LayerNorm.bias"


def _report(path: pathlib.Path, stored: set[str], used: set[str]) -> None:
  left = sorted(stored - used)
  unknown = [name for name in left if not _IGNORED.fullmatch(name)]
  if unknown:
    raise UserError(
        f"{path}: {len(unknown)} tensors have no place in the model, e.g. {unknown[0]!r}: give the"
        " weights of a plain BERT"
    )
  logger.info("%s: %d tensors read; ignored: %s", path, len(used), ", ".join(left) or "none")


def check_pretrained(config: TextConfig) -> None:
  """Raises `UserError` unless the folder `config.pretrained` is one of a BERT of these sizes."""
  folder = pathlib.Path(config.pretrained or "")
  absent = [name for name in NAMES if not (folder / name).is_file()]
  if absent:
    raise UserError(
        f"model.text.pretrained={folder}: there is no {', '.join(absent)}: give a folder with"
        f" {', '.join(NAMES)}"
    )
  _check_config(folder / CONFIG, config)


def _check_config(path: pathlib.Path, config: TextConfig) -> None:
  try:
    theirs = json.loads(path.read_text())
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror}): check the folder") from None
  except ValueError as error:
    raise UserError(f"{path}: is no JSON ({error}): restore it from a copy") from None
  if not isinstance(theirs, dict) or theirs.get("model_type") != "bert":
    raise UserError(f"{path}: is not the config of a BERT (model_type): give the folder of one")
  absent = [name for name in _SIZES if name not in theirs]
  if absent:
    raise UserError(f"{path}: has no {', '.join(absent)}: restore it from a copy")
  flags = [
      f"--config.model.text.{key}={theirs[name]}"
      for name, key in _SIZES.items()
      if theirs[name] != getattr(config, key)
  ]
  if flags:
    raise UserError(f"{path}: its sizes are not those of model.text: set {' '.join(flags)}")
  only: dict[str, Any] = {  # What the code leaves no choice of, and what BERT's config defaults to.
      "hidden_act": "gelu",
      "position_embedding_type": "absolute",
      "type_vocab_size": TOKEN_TYPES,
      "intermediate_size": 4 * config.width,
  }
  for name, value in only.items():
    if theirs.get(name, value) != value:
      raise UserError(
          f"{path}: {name} is {theirs[name]!r} and only {value!r} can be read: give other weights"
      )


def _open(path: pathlib.Path) -> Any:
  """The tensors of a safetensors file, read when asked for."""
  import safetensors  # Only for those who start from such weights.

  try:
    return safetensors.safe_open(path, framework="numpy")
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error}): check the folder") from None
  except safetensors.SafetensorError as error:
    raise UserError(f"{path}: damaged ({error}): restore it from a copy") from None
