"""Which prepared datasets a config reads."""

import pathlib

from ml_collections import ConfigDict

from mla_jax.data import prepared
from tests.experiments import grid


def test_what_is_evaluated_counts_too(tmp_path: pathlib.Path) -> None:
  grid.prepare(tmp_path, "train")
  data = {"dir": str(tmp_path / "data"), "family": "f", "eval_texts": "t"}
  config = ConfigDict({"data": data, "model": {"use_video": True}})  # Of media there are none.
  assert prepared.evaluated(config) == {"t": "train"}
  config.data.eval_texts = "not there"
  assert prepared.evaluated(config) == {}
