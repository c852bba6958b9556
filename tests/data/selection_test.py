"""What may select the best step, and what is refused."""

import logging
import pathlib
from typing import Any

import pytest

from mla_jax import config_lib
from mla_jax.data import prepare_dataset, selection, sources
from mla_jax.errors import UserError
from tests import tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Splits train (18 videos), validate (6), train_9k (both), test_1k_a (video1, of train)."""
  root = tmp_path_factory.mktemp("data")
  tiny.write_annotations(root / "annotations", videos=24)
  names = "".join(f"video{number}\n" for number in range(24) if number % 8 != 0)
  (root / "annotations" / "MSRVTT_train.9k.csv").write_text(f"video_id\n{names}")
  (root / "annotations" / "MSRVTT_JSFUSION_test.csv").write_text(
      "key,vid_key,video_id,sentence\nret0,msr1,video1,a dog\n"
  )
  prepare_dataset.prepare(
      prepare_dataset.Options(
          dataset="msrvtt_retrieval", annotations=str(root / "annotations"), out=str(root / "out"),
          vocab_size=80,
      )
  )
  return root / "out"


def open_dev(data: pathlib.Path, train: str = "train", **changes: Any) -> Any:
  given = {"dir": str(data), "dev_fraction": 0.0, "eval_split": "test_1k_a"} | changes
  overrides = {f"data.{key}": value for key, value in given.items()}
  config = config_lib.load_config("configs/msrvtt_mini_retrieval.py:debug", overrides)
  with config.unlocked():
    del config.data.sources["timed"]
    config.data.sources.captions.split = train
  return selection.open_dev(config.data, with_video=False), config.data


def test_a_share_of_train_selects_and_is_not_trained_on(data) -> None:
  dev, config = open_dev(data, dev_fraction=0.3)
  (source,) = sources.open_sources(config, with_video=False)
  trained = set(source.own.texts.video_ids())
  assert len(set(dev.video_ids())) + len(trained) == 18
  assert not trained & set(dev.video_ids())
  assert selection.selected_on(config) == "dev"


def test_an_official_split_selects_and_all_of_train_is_trained_on(data) -> None:
  dev, config = open_dev(data, dev_split="validate")
  assert (dev.split, len(dev.items)) == ("validate", 18)
  (source,) = sources.open_sources(config, with_video=False)
  assert len(set(source.own.texts.video_ids())) == 18
  assert selection.selected_on(config) == "validate"
  chosen, _ = open_dev(data, dev_split="validate", eval_split="dev")
  assert chosen.split == "validate"


def test_nothing_selects(data) -> None:
  dev, config = open_dev(data)
  assert dev is None
  assert selection.selected_on(config) is None
  with pytest.raises(UserError, match=r"data.dev_fraction or data.dev_split$"):
    selection.require_dev(config, with_video=False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dev_split": "test_1k_a"}, "is data.eval_split: the best step"),
        ({"dev_split": "test_1k_a", "eval_split": "validate"}, "is a test split: the best"),
        ({"dev_split": "test_1k_a", "eval_split": "dev"}, "is a test split: the best"),
        ({"dev_split": "validate", "eval_split": "validate"}, "is data.eval_split"),
        (
            {"dev_split": "validate", "eval_split": "train_9k"},
            "shares 6 videos with data.eval_split='train_9k'",
        ),
    ],
)
def test_selection_on_test_is_refused_unless_asked_for(data, changes, said) -> None:
  with pytest.raises(UserError, match=said) as error:
    open_dev(data, **changes)
  assert str(error.value).endswith("--config.data.select_on_test=True")
  dev, _ = open_dev(data, **changes, select_on_test=True)
  assert dev.split == changes["dev_split"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dev_split": "validate", "dev_fraction": 0.1}, "set --config.data.dev_fraction=0"),
        ({"dev_split": "valid"}, "no split 'valid'; it has test_1k_a, train, train_9k, validate"),
        ({"dev_split": "train", "eval_split": "validate"}, "data.sources.captions trains on it"),
        ({"dev_fraction": 1e-9}, "holds no video"),
        ({"dev_fraction": 0.1, "eval_texts": "qa"}, "no training source reads"),
    ],
)
def test_what_cannot_select_is_one_line(data, changes, said) -> None:
  with pytest.raises(UserError, match=said) as error:
    open_dev(data, **changes)
  assert "\n" not in str(error.value)


def test_videos_that_are_trained_on_are_counted(data, caplog) -> None:
  """MSR-VTT's 9k list holds the official validation videos."""
  with caplog.at_level(logging.WARNING):
    open_dev(data, "train_9k", dev_split="validate")
  assert "6 of its videos are in training too (data.sources.captions: train_9k)" in caplog.text
