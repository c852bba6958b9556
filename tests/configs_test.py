"""Every config builds, has no key nobody reads, takes finite steps and evaluates, at debug size."""

import json
import pathlib

import pytest

from mla_jax import config_lib, eval_lib, train_lib
from tests import tiny

CONFIGS = sorted(
    path.name
    for path in (pathlib.Path(__file__).resolve().parents[1] / "configs").glob("*.py")
    if path.name != "common.py"
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """The tiny dataset under a family's name, features and frames, made when first asked for."""
  made: dict[tuple[str, str], pathlib.Path] = {}

  def prepare(family: str, media: str) -> pathlib.Path:
    if (family, media) not in made:
      root = tmp_path_factory.mktemp(f"{family}_{media}")
      made[family, media] = tiny.prepare(root, media=media, family=family, videos=24)
    return made[family, media]

  return prepare


def overrides(config, data: pathlib.Path) -> dict:
  """What fits the config to the tiny data: its place, its splits, its width."""
  changes = {
      "data.dir": str(data),
      "data.dev_fraction": 0.3,
      "data.eval_split": "val" if config.data.eval_texts == "qa" else "validate",
      "model.video.feature_width": tiny.FEATURES,
  }
  return changes | {f"data.sources.{name}.split": "train" for name in config.data.sources}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_full_size_builds_and_rejects_an_unknown_argument(name):
  config = config_lib.load_config(f"configs/{name}")
  assert config.name == name.removesuffix(".py")
  assert config.train.steps >= 100
  with pytest.raises(config_lib.UserError, match="unknown"):
    config_lib.load_config(f"configs/{name}:no_such_argument")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_debug_size_trains_and_evaluates(name, prepared, tmp_path):
  path = f"configs/{name}:debug"
  config = config_lib.load_config(path)
  media = "features" if config.model.video.kind == "features" else "frames"
  data = prepared(config.data.family, media)
  config = config_lib.load_config(path, overrides(config, data))
  run = train_lib.train(config, tmp_path)  # Raises on an unread key.
  assert run is not None
  result = eval_lib.evaluate(run)
  assert result["step"] in (2, 4)
  lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
  losses = [line["loss"] for line in lines if "loss" in line]
  assert len(losses) == 4
  assert all(loss is not None and loss > 0 for loss in losses)


@pytest.mark.parametrize("name", ["msrvtt_mini_retrieval.py", "msrvtt_mini_qa.py"])
def test_a_pretrained_text_encoder(name, prepared, tmp_path):
  """The sizes are MiniLM's; at debug size the weights are random and all are trained."""
  text = config_lib.load_config(f"configs/{name}:minilm").model.text
  sizes = (text.vocab_size, text.layers, text.heads, text.width, text.max_length)
  assert sizes == (30_522, 6, 12, 384, 512)
  assert (text.kind, text.frozen_layers, text.norm_epsilon) == ("bert", 6, 1e-12)
  if name == "msrvtt_mini_retrieval.py":
    return  # tests/end_to_end_test.py trains it.
  path = f"configs/{name}:minilm,debug"
  changes = overrides(config_lib.load_config(path), prepared("msrvtt", "features"))
  run = train_lib.train(config_lib.load_config(path, changes), tmp_path)
  assert run is not None
  assert 0 <= eval_lib.evaluate(run)["accuracy"] <= 100


def test_a_key_nobody_reads_is_an_error(prepared, tmp_path):
  data = prepared("msrvtt", "features")
  path = "configs/msrvtt_mini_retrieval.py:debug"
  config = config_lib.load_config(path, overrides(config_lib.load_config(path), data))
  with config.unlocked():
    config.data.video_segmens = 3
  with pytest.raises(config_lib.UserError, match=r"video_segmens.*video_segments"):
    train_lib.train(config, tmp_path)
