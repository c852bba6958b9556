"""Every config builds, has no key nobody reads, takes finite steps and evaluates, at debug size."""

import functools
import json
import pathlib

import jax
import pytest

from mla_jax import config_lib, eval_lib, sharding, train_lib
from mla_jax.config_reads import record_reads, unread_keys
from mla_jax.config_values import flatten
from mla_jax.data.annotations import msrvtt_splits
from mla_jax.data.text import Tokenizer, train_tokenizer
from mla_jax.models.build import build_model
from tests import tiny
from tests.config_shapes import loss_shapes

CONFIGS = sorted(
    path.name
    for path in (pathlib.Path(__file__).resolve().parents[1] / "configs").glob("*.py")
    if path.name not in ("common.py", "variants.py")
)


# What the tiny dataset offers: folder of texts -> dataset, and its split that is evaluated.
TEXTS = {
    "retrieval": ("msrvtt_retrieval", "validate"),
    "qa": ("msrvtt_qa", "val"),
    "timed_captions": ("timed_captions", "train"),
    "qa_action": ("tgif_qa_action", "test"),
    "qa_count": ("tgif_qa_count", "test"),
    "localisation": ("charades_sta", "test"),
}
# One config for each task and kind of data is run; the others differ in names and sizes. Of those
# run, the slow ones are a task of which another is run, or frames where that one has features.
RUN = ("charades_sta.py", "msrvtt_mini_qa.py", "msrvtt_mini_retrieval.py", "tgif_qa_count.py")
RUN_SLOW = (
    "demo.py",
    "msrvtt_qa.py",
    "msrvtt_retrieval.py",
    "msvd_qa.py",
    "msvd_retrieval.py",
    "pretrain_howto100m.py",
    "pretrain_webvid.py",
    "tgif_qa_action.py",
)
GROUNDED = ("tgif_qa_action", "charades_sta")  # Questions, and moments that no training sees.


@pytest.fixture(autouse=True)
def two_devices(monkeypatch):
  """Enough to shard, and their programs are run sooner than those of eight."""
  make_mesh = functools.partial(sharding.make_mesh, devices=jax.devices()[:2])
  monkeypatch.setattr(sharding, "make_mesh", make_mesh)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  """The tiny dataset as a config's family and kind of media, made when first asked for."""
  made: dict[tuple[str, str, str], pathlib.Path] = {}

  def prepare(config) -> pathlib.Path:
    family = config.data.family
    media = "features" if config.model.video.kind == "features" else "frames"
    own = TEXTS[config.data.eval_texts][0]
    datasets = tiny.MSRVTT if own in tiny.MSRVTT else (own,)
    key = (family, media, datasets[0])
    if key not in made:
      root = tmp_path_factory.mktemp("_".join(key))
      made[key] = tiny.prepare(root, media=media, family=family, videos=24, datasets=datasets)
    return made[key]

  return prepare


def overrides(config, data: pathlib.Path) -> dict:
  """What fits the config to the tiny data: its place, its splits, its width."""
  changes = {
      "data.dir": str(data),
      "data.dev_fraction": 0.3,
      "data.eval_split": TEXTS[config.data.eval_texts][1],
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


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
  path = tmp_path_factory.mktemp("text") / "tokenizer.model"
  train_tokenizer(["what runs ?", "a dog", "a cat"] * 6, path, 40)
  return Tokenizer.load(path)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in RUN + RUN_SLOW])
def test_the_full_size_has_a_step_and_no_key_that_nothing_reads(name, tokenizer):
  config = record_reads(config_lib.load_config(f"configs/{name}"))
  with pytest.raises(AttributeError):
    config.data.no_such_key = 1
  ((loss, metrics), grads), params = loss_shapes(config, tokenizer)
  assert loss.shape == ()
  assert metrics
  same = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), grads, params)
  assert all(jax.tree.leaves(same))
  # Read by what needs data or devices: the sources, the optimizer, the loop.
  later = (
      "data.", "eval.", "mesh.", "name", "optimizer.", "sharding.", "train.", "model.text.cache"
  )
  assert [key for key in unread_keys(config) if not key.startswith(later)] == []
  known = flatten(config_lib.load_config("configs/msrvtt_mini_qa.py"))
  extra = [key for key in flatten(config) if key not in known]
  assert [key for key in extra if not key.startswith("data.sources.")] == []


@pytest.mark.parametrize(
    ("name", "head", "part"),
    [
        ("msrvtt_mini_moments.py:span", "span", "loss/span"),
        ("msrvtt_mini_moments.py", "answer", "segments_with_positive"),
        ("msvd_qa.py:small,no_video", "answer", "loss/answer"),
        ("demo.py:retrieval", "answer", "loss/segment_timed"),
    ],
)
def test_what_an_argument_trains(name, head, part, tokenizer):
  config = config_lib.load_config(f"configs/{name}")
  ((loss, metrics), _), _ = loss_shapes(config, tokenizer)
  assert loss.shape == ()
  assert any(found.endswith(part) for found in metrics), sorted(metrics)
  assert config.model.head == head
  assert (config.eval.scoring == "contrastive") == (part == "segments_with_positive")


@pytest.mark.parametrize(
    "name", [*RUN, *(pytest.param(name, marks=pytest.mark.slow) for name in RUN_SLOW)]
)
def test_the_debug_size_trains_and_evaluates(name, prepared, tmp_path):
  path = f"configs/{name}:debug"
  config = config_lib.load_config(path)
  data = prepared(config)
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
  config = config_lib.load_config(path)
  changes = overrides(config, prepared(config))
  run = train_lib.train(config_lib.load_config(path, changes), tmp_path)
  assert run is not None
  assert 0 <= eval_lib.evaluate(run)["accuracy"] <= 100


@pytest.mark.parametrize("name", ["msrvtt_mini_retrieval.py", "msrvtt_mini_qa.py"])
def test_a_pretrained_text_encoder_beside_pixels(name):
  """Pixels have a model of another width than the text encoder's."""
  changes = {"model.text.pretrained": "read_later"}
  config = config_lib.load_config(f"configs/{name}:minilm,pixels", changes)
  model = build_model(config.model)
  assert (model.common.width, model.text_config.width) == (128, 384)


@pytest.mark.parametrize(("argument", "rows"), [("", 192), ("pixels", 80), ("minilm", 224)])
def test_captions_in_the_place_of_timed_sentences(argument, rows):
  with_timed, captions = (
      config_lib.load_config(f"configs/msrvtt_mini_retrieval.py:{given}").data.sources
      for given in (argument, ",".join(filter(None, (argument, "captions"))))
  )
  assert set(with_timed) - set(captions) == {"timed"}
  for sources in (with_timed, captions):
    assert sum(source.rows for source in sources.values()) == rows


@pytest.mark.parametrize(
    ("argument", "train", "tested"),
    [
        ("", "train_9k", "test_1k_a"),
        (":split=7k", "train_7k", "test_1k_a"),
        (":split=full", "train", "test"),
        (":features,split=1k_b", "train_1k_b", "test_1k_b"),
    ],
)
def test_each_split_of_msrvtt_is_an_argument(argument, train, tested):
  config = config_lib.load_config(f"configs/msrvtt_retrieval.py{argument}")
  assert (config.data.sources.captions.split, config.data.eval_split) == (train, tested)
  assert {train, tested} <= {"train", "test", *msrvtt_splits.CSV_SPLITS}


def test_a_split_that_msrvtt_does_not_have():
  with pytest.raises(config_lib.UserError, match=r"split='1kb': unknown: did you mean '1k_b'"):
    config_lib.load_config("configs/msrvtt_retrieval.py:split=1kb")


@pytest.mark.parametrize("argument", ["", ":features"])
@pytest.mark.parametrize(
    ("name", "frames", "answers"),
    [
        ("activitynet_retrieval", 64, 0),
        ("didemo_retrieval", 64, 0),
        ("msvd_retrieval", 12, 0),
        ("nextgqa", 32, 0),
        ("tgif_qa_frameqa", 8, 1540),
    ],
)
def test_the_sizes_usual_for_a_set(name, frames, answers, argument):
  config = config_lib.load_config(f"configs/{name}.py{argument}")
  assert (config.data.num_frames, config.model.num_answers) == (frames, answers)
  assert config.model.video.max_frames >= frames


@pytest.mark.slow
def test_moments_are_found_without_any_in_training(tmp_path):
  """As NExT-GQA's, trained on questions; the tiny ones of TGIF-QA, and Charades-STA's moments."""
  path = "configs/nextgqa.py:features,debug"
  data = tiny.prepare(tmp_path, family="nextqa", videos=24, datasets=GROUNDED)
  changes = {
      "data.dir": str(data),
      "data.dev_split": "",
      "data.eval_split": "test",
      "data.eval_texts": "localisation",
      "data.sources.questions.texts": "qa_action",
      "data.tokenizer": "qa_action/tokenizer.model",
      "model.video.feature_width": tiny.FEATURES,
  }
  run = train_lib.train(config_lib.load_config(path, changes), tmp_path / "run")
  assert run is not None
  result = eval_lib.evaluate(run, "latest")
  assert result["questions"] == 3
  assert 0 < result["mean_iou"] <= result["mean_iop"]


def test_a_key_nobody_reads_is_an_error(prepared, tmp_path):
  path = "configs/msrvtt_mini_retrieval.py:debug"
  data = prepared(config_lib.load_config(path))
  config = config_lib.load_config(path, overrides(config_lib.load_config(path), data))
  with config.unlocked():
    config.data.video_segmens = 3
  with pytest.raises(config_lib.UserError, match=r"video_segmens.*video_segments"):
    train_lib.train(config, tmp_path)


def test_pretraining_at_full_size():
  """What the plans in docs/scaling.md are about."""
  webvid = config_lib.load_config("configs/pretrain_webvid.py")
  assert (webvid.data.sources.captions.rows, webvid.data.num_frames) == (8192, 8)
  assert (webvid.data.image_size, webvid.model.dtype, webvid.loss.impl) == (224, "bfloat16", "ring")
  assert webvid.loss.segment_pairing == "latent"
  timed = config_lib.load_config("configs/pretrain_howto100m.py")
  assert (timed.data.sources.narrations.rows, timed.loss.segment_pairing) == (32_768, "timed")
  bags = config_lib.load_config("configs/pretrain_howto100m.py:mil_nce")
  assert (bags.loss.segment_pairing, bags.loss.segment_variant) == ("latent", "mil_nce")
