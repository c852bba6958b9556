"""What is computed from the training data is what numpy makes of it, and stays so."""

import numpy as np
import pytest

from mla_jax import config_lib, data_parameters, sharding, train_lib, train_step
from mla_jax import run as run_lib
from mla_jax.data import sources
from tests import bert_checkpoint, tiny

NAMES = ("fusion/words/mean", "fusion/words/spread")
FEATURES = ("heads/regressor/standard/mean", "heads/regressor/standard/spread")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
  root = tmp_path_factory.mktemp("data_parameters")
  bert_checkpoint.write(root / "bert")
  sizes = bert_checkpoint.SIZES
  fits = {
      "data.dir": str(tiny.prepare(root, videos=24)),
      "model.video.feature_width": tiny.FEATURES,
      "model.text.pretrained": str(root / "bert"),
      "model.text.vocab_size": sizes["vocab_size"],
      "model.text.layers": sizes["num_hidden_layers"],
      "model.text.heads": sizes["num_attention_heads"],
      "model.text.width": sizes["hidden_size"],
      "model.text.max_length": sizes["max_position_embeddings"],
      "model.text.frozen_layers": 2,
      "model.fusion.words": True,
      "train.steps": 3,
  }
  return config_lib.load_config("configs/msrvtt_mini_qa.py:minilm,debug", fits)


def params_of(run, texts):
  training = train_step.make_training(run, texts)
  with run_lib.open_checkpoints(run) as saved:
    return training.start(saved).params


def open_run(config, workdir):
  workdir.mkdir(exist_ok=True)
  run_lib.start_workdir(config, workdir)
  run = run_lib.open_run(config, workdir)
  return run, sources.open_sources(config.data, with_video=True)


def test_words_are_standardised_over_the_training_texts(config, tmp_path, monkeypatch):
  monkeypatch.setattr(data_parameters, "_BATCH", 4)  # Does not divide the number of texts.
  run, opened = open_run(config, tmp_path / "run")
  params = params_of(run, opened)
  named = sharding.named_leaves(params)
  table = np.asarray(named["text/bert/word/embedding"], np.float64)
  means = {}
  for source in opened:
    texts = source.own.texts
    for record in texts.store.read(texts.split, texts.items):
      for text in (record.text, f"{record.text} {record.answer}"):
        length = run.reader.shapes.text_length
        tokens = run.reader.tokenizer.encode(text, (), length=length, most_segments=1)
        ids = tokens.ids[tokens.mask]  # Of several texts one where some words are unknown.
        means[tuple(ids)] = table[ids].mean(axis=0)
  words = np.stack(list(means.values()))
  assert len(words) > 4
  np.testing.assert_allclose(named[NAMES[0]], words.mean(axis=0), atol=1e-6)
  np.testing.assert_allclose(named[NAMES[1]], words.std(axis=0), rtol=1e-4)


def test_no_step_changes_them(config, tmp_path):
  run, opened = open_run(config, tmp_path / "run")
  born = {k: np.asarray(v) for k, v in sharding.named_leaves(params_of(run, opened)).items()}
  train_lib.train(config, tmp_path / "run")
  kept = sharding.named_leaves(params_of(run, opened))
  for name in NAMES:
    assert np.any(born[name] != (name == NAMES[1]))  # Neither as it was initialised.
    np.testing.assert_array_equal(kept[name], born[name])
  assert np.any(np.asarray(kept["fusion/gate/kernel"]) != born["fusion/gate/kernel"])


def test_a_model_that_reads_no_words_has_none(config, tmp_path):
  without = config.copy_and_resolve_references()
  without.model.fusion.words = False
  run, opened = open_run(without, tmp_path / "run")
  assert data_parameters.patterns(run.model) == ()
  assert not set(NAMES) & set(sharding.named_leaves(params_of(run, opened)))


@pytest.mark.parametrize("batch", [256, 5])  # Which does not divide the number of videos.
def test_features_are_standardised_over_the_training_videos(config, tmp_path, monkeypatch, batch):
  monkeypatch.setattr(data_parameters, "_BATCH", batch)
  width = bert_checkpoint.SIZES["hidden_size"]
  with_regressor = config.copy_and_resolve_references()
  model = with_regressor.model
  model.width = model.embed_dim = model.text.width = width
  model.text.identity_heads, model.video.regressor_hidden = True, 4
  run, opened = open_run(with_regressor, tmp_path / "run")
  named = sharding.named_leaves(params_of(run, opened))
  (texts,) = (source.own.texts for source in opened)
  videos = sorted(set(texts.videos.tolist()))
  assert 4 < len(videos) < len(run.reader.media) and len(videos) % 5
  means = [
      video.payload.astype(np.float64).mean(axis=0)
      for video in run.reader.media.read(videos)
  ]
  np.testing.assert_allclose(named[FEATURES[0]], np.mean(means, axis=0), atol=1e-5)
  np.testing.assert_allclose(named[FEATURES[1]], np.std(means, axis=0), rtol=1e-4)
  train_lib.train(with_regressor, tmp_path / "run")
  kept = sharding.named_leaves(params_of(run, opened))
  for name in FEATURES:
    np.testing.assert_array_equal(kept[name], named[name])
  assert np.any(np.asarray(kept["heads/regressor/hidden/bias"]) != 0)
