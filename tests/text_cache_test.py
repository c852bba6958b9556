"""A run that reads the frozen encoder's states is the run that computes them."""

import concurrent.futures
import json
import time
import types

import numpy as np
import pytest

from mla_jax import config_lib, text_cache, train_lib, train_step
from mla_jax import run as run_lib
from mla_jax.data import sources
from mla_jax.errors import UserError
from mla_jax.metrics import read_metrics
from mla_jax.planner.compile import abstract_batch
from tests import bert_checkpoint, tiny

SIZES = bert_checkpoint.SIZES


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp("text_cache")
  bert_checkpoint.write(root / "bert")
  return tiny.prepare(root, videos=24), root / "bert"


def config(folders, name, **changes):
  data, bert = folders
  fits = {
      "data.dir": str(data),
      "data.dev_fraction": 0.0,  # Nothing is evaluated on the way.
      "model.video.feature_width": tiny.FEATURES,
      "model.text.pretrained": str(bert),
      "model.text.vocab_size": SIZES["vocab_size"],
      "model.text.layers": SIZES["num_hidden_layers"],
      "model.text.heads": SIZES["num_attention_heads"],
      "model.text.width": SIZES["hidden_size"],
      "model.text.max_length": SIZES["max_position_embeddings"],
      "model.text.frozen_layers": 2,
      "model.text.token_dropout": 0.3,
      "train.steps": 3,
  }
  return config_lib.load_config(f"configs/{name}:minilm,debug", fits | changes)


def losses(workdir):
  return [line["loss"] for line in read_metrics(workdir / "metrics.jsonl") if "loss" in line]


@pytest.mark.parametrize(
    "name",
    ["msrvtt_mini_retrieval.py", pytest.param("msrvtt_mini_qa.py", marks=pytest.mark.slow)],
)
def test_cached_states_train_the_same(folders, tmp_path, monkeypatch, name):
  monkeypatch.setattr(text_cache, "_BATCH", 7)  # Does not divide the number of texts.
  train_lib.train(config(folders, name), tmp_path / "plain")
  cached = {"model.text.cache": str(tmp_path / "cache")}
  train_lib.train(config(folders, name, **cached), tmp_path / "cached")
  plain = losses(tmp_path / "plain")
  assert len(plain) == 3
  np.testing.assert_allclose(losses(tmp_path / "cached"), plain, rtol=2e-3)  # Of float16.

  def no_second_time(*unused):
    raise AssertionError("encoded again")

  monkeypatch.setattr(text_cache, "_make", no_second_time)
  other_seed = config(folders, name, seed=1, **cached)
  (tmp_path / "other_seed").mkdir()
  run_lib.start_workdir(other_seed, tmp_path / "other_seed")
  run = run_lib.open_run(other_seed, tmp_path / "other_seed")
  training = train_step.make_training(
      run, sources.open_sources(other_seed.data, with_video=True)
  )
  with run_lib.open_checkpoints(run) as saved:
    training = training.with_cached_texts(training.start(saved).params)
  (batch,) = training.batches(range(1))
  assert batch["text_states"].shape == (*batch["text"].shape, SIZES["hidden_size"])
  planned = abstract_batch(other_seed, training.rows, run.task, run.mesh)
  assert {name: (field.shape, field.dtype) for name, field in batch.items()} == {
      name: (field.shape, field.dtype) for name, field in planned.items()
  }


@pytest.mark.slow
def test_other_weights_or_texts_have_states_of_their_own(folders, tmp_path):
  name, cached = "msrvtt_mini_retrieval.py", {"model.text.cache": str(tmp_path / "cache")}
  one_step = cached | {"train.steps": 2, "optimizer.warmup_steps": 1}
  train_lib.train(config(folders, name, **one_step), tmp_path / "a")
  other = tmp_path / "bert"
  tensors = bert_checkpoint.write(other)
  tensors["embeddings.word_embeddings.weight"][7] += 1.0
  bert_checkpoint.save_file(tensors, other / "model.safetensors")
  changed = one_step | {"model.text.pretrained": str(other)}
  train_lib.train(config(folders, name, **changed), tmp_path / "b")
  train_lib.train(config(folders, name, **one_step, **{"data.text_length": 12}), tmp_path / "c")
  assert len(list((tmp_path / "cache").iterdir())) == 3
  assert json.loads((tmp_path / "a" / "config.json").read_text())["model"]["text"]["cache"]


def test_a_cache_without_anything_frozen_is_refused(folders, tmp_path):
  name = "msrvtt_mini_retrieval.py"
  changes = {"model.text.cache": str(tmp_path), "model.text.frozen_layers": -1}
  with pytest.raises(UserError, match=r"model\.text\.cache=.*nothing to keep"):
    train_lib.train(config(folders, name, **changes), tmp_path / "run")


def test_of_two_runs_that_start_together_one_encodes(tmp_path, monkeypatch):
  path, encoded = tmp_path / "cache" / "name" / "states.npy", []

  def slowly(model, params, ids, mask):
    encoded.append(len(ids))
    time.sleep(0.1)
    return np.zeros((*ids.shape, 2), np.float16)

  monkeypatch.setattr(text_cache, "_frozen_states", slowly)
  monkeypatch.setattr(text_cache.jax, "jit", lambda function: function)
  monkeypatch.setattr(text_cache, "_POLL_SECONDS", 0.01)
  model = types.SimpleNamespace(text_config=types.SimpleNamespace(width=2))
  ids, mask = np.zeros((300, 4), np.int32), np.ones((300, 4), bool)
  with concurrent.futures.ThreadPoolExecutor() as pool:
    runs = [pool.submit(text_cache._make, path, model, None, ids, mask) for _ in range(3)]
    assert [run.result() for run in runs] == [None] * 3
  assert encoded == [256, 256]  # The batches of one.
  assert np.load(path).shape == (300, 4, 2)
  assert [entry.name for entry in path.parent.parent.iterdir()] == ["name"]


def test_a_folder_that_cannot_be_written(folders, tmp_path):
  (tmp_path / "file").write_text("")
  changes = {"model.text.cache": str(tmp_path / "file")}
  with pytest.raises(UserError, match=r"model\.text\.cache=.*cannot be written"):
    train_lib.train(config(folders, "msrvtt_mini_retrieval.py", **changes), tmp_path / "run")
