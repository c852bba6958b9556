"""What a new workdir gets, and what must not be found out only after it is made."""

import pathlib
import shutil
from typing import Any

from ml_collections import ConfigDict
import numpy as np
import pytest

from mla_jax import config_lib
from mla_jax import run as run_lib
from mla_jax.data import prepare_dataset
from mla_jax.data.records import MediaStore
from mla_jax.errors import UserError
from tests import bert_checkpoint, tiny

_BERT = {
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_size": 16,
    "max_position_embeddings": 512,
}

_CAPTIONS = ("msrvtt_retrieval", "timed_captions")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return tiny.prepare(tmp_path_factory.mktemp("data"), videos=8)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  path = tmp_path_factory.mktemp("bert")
  bert_checkpoint.write(path, _BERT)
  return path


def _config(data: pathlib.Path, argument: str, **changes: Any) -> ConfigDict:
  fixed = {"data.dir": str(data), "model.video.feature_width": tiny.FEATURES}
  changed = {key.replace("__", "."): value for key, value in changes.items()}
  return config_lib.load_config(f"configs/msrvtt_mini_retrieval.py:{argument}", fixed | changed)


def _tokens(config: ConfigDict, workdir: pathlib.Path) -> list[int]:
  """Ids of a text by the tokenizer a run opens."""
  tokenizer = run_lib.open_run(config, workdir).reader.tokenizer
  found = tokenizer.encode("the red dog", (), length=8, most_segments=1)
  return found.ids[found.mask].tolist()


def test_the_tokenizer_of_the_prepared_data(data, tmp_path) -> None:
  config = _config(data, "debug")
  _start(config, tmp_path)
  prepared = data / "msrvtt" / "retrieval" / "tokenizer.model"
  assert (tmp_path / "tokenizer.model").read_bytes() == prepared.read_bytes()
  assert len(_tokens(config, tmp_path)) >= 3


def test_a_tokenizer_json_by_its_whole_path(data, bert, tmp_path) -> None:
  (tmp_path / "tokenizer.model").write_text("left by a start that failed")
  config = _config(data, "debug", data__tokenizer=str(bert / "tokenizer.json"))
  _start(config, tmp_path)
  assert sorted(path.name for path in tmp_path.iterdir()) == [
      "config.json", "data.json", "tokenizer.json"
  ]
  words = [bert_checkpoint.VOCABULARY.index(word) for word in ("the", "red", "dog")]
  assert _tokens(config, tmp_path) == [2, *words, 3]


def test_pretrained_weights_bring_their_tokenizer(data, bert, tmp_path) -> None:
  config = _bert_config(data, bert, data__tokenizer="no/such.model")
  _start(config, tmp_path)
  content = (bert / "tokenizer.json").read_bytes()
  assert (tmp_path / "tokenizer.json").read_bytes() == content
  assert len(_tokens(config, tmp_path)) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data__tokenizer": "qa/no.model"}, r"no.model: not there \(there is tokenizer.model\)"),
        ({"data__tokenizer": "nowhere/tokenizer.model"}, r"tokenizer.model: not there; prepare"),
        ({"model__text__pretrained": "nowhere"}, r"pretrained: a text encoder from scratch"),
        ({"model__text__pretrained": "nowhere", "model__text__kind": "bert"},
         r"pretrained=nowhere: there is no config.json, model.safetensors, tokenizer.json: give"),
    ],
)
def test_a_start_that_fails_leaves_no_run(data, tmp_path, changes, said) -> None:
  with pytest.raises(UserError, match=said):
    _start(_config(data, "debug", **changes), tmp_path)
  assert not (tmp_path / "config.json").exists()


def test_a_run_may_go_on_elsewhere_and_in_another_way(data, tmp_path) -> None:
  _start(_config(data, "debug"), tmp_path)
  how = {
      "mesh__data": 1, "mesh__fsdp": -1, "sharding__min_size": 0, "loss__impl": "ring",
      "train__micro_batches": 2, "train__hang_seconds": 5.0, "train__eval_every": 1,
      "data__workers": 1,
  }
  _start(_config(data, "debug", **how), tmp_path)
  assert config_lib.read_config(tmp_path / "config.json").loss.impl == "ring"


def test_a_run_goes_on_where_its_data_moved_but_not_on_other_data(data, tmp_path) -> None:
  _start(_config(data, "debug"), tmp_path)
  moved = shutil.copytree(data, tmp_path / "moved")
  _start(_config(moved, "debug"), tmp_path)
  assert config_lib.read_config(tmp_path / "config.json").data.dir == str(moved)
  shutil.rmtree(moved)
  shutil.copytree(tiny.prepare(tmp_path / "other", videos=9), moved)
  with pytest.raises(UserError, match=r"trained on other data than .*moved/msrvtt/media holds now"):
    _start(_config(moved, "debug"), tmp_path)
  elsewhere = moved.rename(tmp_path / "elsewhere")
  with pytest.raises(UserError, match="trained on other data than"):
    _start(_config(elsewhere, "debug"), tmp_path)
  assert config_lib.read_config(tmp_path / "config.json").data.dir == str(moved)


def test_a_run_goes_on_where_videos_were_added_to_its_family(tmp_path) -> None:
  out = tiny.prepare(tmp_path / "data", videos=8, datasets=_CAPTIONS)
  _start(_config(out, "debug"), tmp_path)
  for first, dataset in ((8, "msrvtt_qa"), (12, "tgif_qa_count")):
    _add_videos(tmp_path / dataset, out, dataset, first)
    _start(_config(out, "debug"), tmp_path)
  assert len(MediaStore.open(out / "msrvtt" / "media")) == 16


def test_a_run_does_not_go_on_where_a_video_changed_and_others_were_added(tmp_path) -> None:
  out = tiny.prepare(tmp_path / "data", videos=8, datasets=_CAPTIONS)
  _start(_config(out, "debug"), tmp_path)
  shutil.rmtree(out / "msrvtt" / "media")
  annotations = tmp_path / "data" / "annotations"
  features = shutil.copytree(tmp_path / "data" / "features", tmp_path / "features")
  np.save(features / "video7.npy", np.zeros((6, tiny.FEATURES), np.float16))
  prepare_dataset.prepare(prepare_dataset.Options(
      "msrvtt_retrieval", str(annotations), str(out), str(features), vocab_size=80, num_workers=1))
  _add_videos(tmp_path / "more", out, "msrvtt_qa", 8)
  with pytest.raises(UserError, match=r"trained on other data than .*msrvtt/media holds now"):
    _start(_config(out, "debug"), tmp_path)


@pytest.mark.parametrize("key", ["seed", "train__steps", "model__width", "data__text_length"])
def test_what_a_run_is_may_not_change(data, tmp_path, key) -> None:
  _start(_config(data, "debug"), tmp_path)
  before = (tmp_path / "config.json").read_bytes()
  with pytest.raises(UserError, match=rf"another config \({key.replace('__', '.')}: .* -> 96"):
    _start(_config(data, "debug", **{key: 96}), tmp_path)
  assert (tmp_path / "config.json").read_bytes() == before


def test_other_weights_are_another_run(data, bert, tmp_path) -> None:
  _start(_bert_config(data, bert), tmp_path)
  other = shutil.copytree(bert, tmp_path / "other")
  with pytest.raises(UserError, match=r"another config \(model.text.pretrained: "):
    _start(_bert_config(data, other), tmp_path)


def test_a_workdir_of_which_nobody_knows_the_data(data, tmp_path) -> None:
  _start(_config(data, "debug"), tmp_path)
  (tmp_path / "data.json").unlink()
  with pytest.raises(UserError, match="nobody knows on which data the run was trained"):
    _start(_config(data, "debug"), tmp_path)


def test_sizes_that_do_not_fit_are_found_before_there_is_a_run(data, bert, tmp_path) -> None:
  """So that the command, mended as the error says, runs in the same workdir."""
  wrong = _bert_config(data, bert, model__text__layers=2, model__text__max_length=64)
  with pytest.raises(UserError, match=r"set --config.model.text.layers=1 --config.*length=512$"):
    _start(wrong, tmp_path)
  _start(_bert_config(data, bert), tmp_path)


def test_a_workdir_without_a_checkpoint_is_the_mended_commands(data, tmp_path) -> None:
  run_lib.start_workdir(_config(data, "debug", model__width=64), tmp_path)
  _start(_config(data, "debug"), tmp_path)
  with pytest.raises(UserError, match=r"another config \(model.width"):
    run_lib.start_workdir(_config(data, "debug", model__width=64), tmp_path)


def test_a_vocabulary_larger_than_the_models(data, bert, tmp_path) -> None:
  config = _config(
      data, "debug", data__tokenizer=str(bert / "tokenizer.json"), model__text__vocab_size=50
  )
  _start(config, tmp_path)
  with pytest.raises(UserError, match=r"tokenizer.json: has 77 pieces, the model embeds 50"):
    run_lib.open_run(config, tmp_path)


def test_frames_that_would_be_enlarged_are_told(tmp_path, caplog) -> None:
  frames = tiny.prepare(
      tmp_path / "frames", media="frames", videos=8, datasets=("msrvtt_retrieval",)
  )
  for size, told in ((112, False), (224, True)):
    config = config_lib.load_config(
        "configs/msrvtt_retrieval.py:split=full,debug",
        {"data.dir": str(frames), "data.image_size": size, "data.eval_split": "validate"},
    )
    caplog.clear()
    workdir = tmp_path / str(size)
    workdir.mkdir()
    _start(config, workdir)
    run_lib.open_run(config, workdir)
    said = "short side of 128 px and enlarged to data.image_size=224: prepare them with --short_si"
    assert (said in caplog.text) == told


def _add_videos(root: pathlib.Path, out: pathlib.Path, dataset: str, first: int) -> None:
  """Four, by preparing another dataset into the family."""
  tiny.prepare(root, videos=4, first=first, datasets=(dataset,), out=out)


def _start(config: ConfigDict, workdir: pathlib.Path) -> None:
  run_lib.start_workdir(config, workdir)
  run_lib.keep_config(config, workdir)


def _bert_config(data: pathlib.Path, bert: pathlib.Path, **changes: Any) -> ConfigDict:
  sizes = {
      "model__text__pretrained": str(bert),
      "model__text__vocab_size": len(bert_checkpoint.VOCABULARY),
  }
  return _config(data, "minilm,debug", **(sizes | changes))
