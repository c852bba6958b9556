"""A grid whose runs are stubs: a config file, prepared data as far as manifests tell, a child."""

from collections.abc import Mapping
import json
import pathlib
from typing import Any

from mla_jax.data import record_format
from mla_jax.experiments import plan
from mla_jax.experiments.plan import Cell, Experiment, PlannedRun

_CONFIG = """
from ml_collections import ConfigDict
def get_config(arg=None):
  return ConfigDict({
      "seed": 0,
      "data": {
          "dir": "", "family": "f", "eval_texts": "t", "eval_split": "test", "dev_split": "",
          "dev_fraction": 0.0, "sources": {"a": {"texts": "t", "beside": {}}},
      },
      "model": {"use_video": False, "text": {"pretrained": "", "cache": ""}},
  })
"""
RESULT = {"dataset": "f_t", "split": "test"}
PRINTS = ["-c", f"print('''{json.dumps(RESULT)}''')"]


def runs(folder: pathlib.Path, more: Mapping[str, Any] = {}) -> list[PlannedRun]:
  """Two runs of one cell, "a", on the data of `prepare`."""
  config = folder / "config.py"
  config.write_text(_CONFIG)
  experiment = Experiment("t", str(config), (Cell("a"),), (0, 1), ("accuracy",), "a")
  return plan.plan_runs(experiment, {"data.dir": str(folder / "data"), **more})


def prepare(folder: pathlib.Path, fingerprint: str = "one") -> None:
  manifest = {
      "format": record_format.FORMAT, "kind": "texts", "complete": True, "files": [],
      "splits": {"train": {"texts": 3}, "test": {"texts": 2}}, "fingerprint": fingerprint,
  }
  path = folder / "data" / "f" / "t" / record_format.MANIFEST
  path.parent.mkdir(parents=True, exist_ok=True)
  manifest["checksum"] = record_format.checksum(manifest)
  path.write_text(json.dumps(manifest))
