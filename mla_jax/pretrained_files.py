"""The files of a pretrained text encoder, as `transformers` names them; needs no jax."""

import functools
import pathlib

from ml_collections import ConfigDict

from mla_jax.data import record_format

CONFIG, WEIGHTS, _ = NAMES = ("config.json", "model.safetensors", "tokenizer.json")


def fingerprint(config: ConfigDict) -> dict[str, str]:
  """Content hash of the weights in `config.model.text.pretrained`; empty where there are none."""
  if config.model.text.pretrained is None:
    return {}
  weights = pathlib.Path(config.model.text.pretrained) / WEIGHTS
  return {"pretrained": _digest(weights)} if weights.is_file() else {}


@functools.cache  # An experiment asks for each of its runs.
def _digest(path: pathlib.Path) -> str:
  return record_format.digest(path)
