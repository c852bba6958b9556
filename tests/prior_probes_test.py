"""Priors of a probed model come from what it was trained on, and what is left out is told."""

import types
from typing import Any

from ml_collections import ConfigDict
import pytest

from mla_jax import config_lib, priors
from mla_jax.data import sources
from mla_jax.errors import UserError
from mla_jax.prior_probes import prior_probes
from tests import tiny


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  """Two sets in one layout: of the videos 0 to 39, and of 40 to 63."""
  root = tmp_path_factory.mktemp("data")
  datasets = ("msrvtt_qa",)
  return (
      tiny.prepare(root / "one", datasets=datasets),
      tiny.prepare(root / "two", datasets=datasets, first=40, videos=24),
  )


def _config(folder: Any, name: str = "msrvtt_mini_qa.py:debug", **changes: Any) -> ConfigDict:
  fixed = {"data.dir": str(folder), "data.dev_fraction": 0.3, "data.eval_split": "val"}
  return config_lib.load_config(f"configs/{name}", fixed | changes)


def _probed(evaluated: ConfigDict, trained: ConfigDict, folder: Any):
  asked = sources.open_texts(_config(folder).data, "qa", "val", with_video=False)
  run: Any = types.SimpleNamespace(config=evaluated)
  return prior_probes(run, trained, asked, "accuracy"), asked.read_all()


def test_on_another_set_they_are_the_priors_of_the_set_trained_on(folders):
  one, two = folders
  (found, notes), asked = _probed(_config(two), _config(one), two)
  whole = sources.open_texts(_config(one).data, "qa", "train", with_video=False)
  known, _ = sources.split_off_dev(whole, 0.3)
  assert 0 < len(known.items) < len(whole.items)
  assert found == priors.answers(known.store.read("train", known.items), asked)
  assert not notes


def test_the_training_data_may_have_moved(folders):
  one, _ = folders
  (here, _), _ = _probed(_config(one), _config(one), one)
  (moved, notes), _ = _probed(_config(one), _config("elsewhere"), one)
  assert moved == here and not notes


@pytest.mark.parametrize(
    ("evaluated", "trained", "said"),
    [
        ({}, {"data.family": "other"}, {"answer_prior", "text_prior"}),
        ({}, {"data.sources.questions.split": "none"}, {"answer_prior", "text_prior"}),
        ({}, {"task": "retrieval"}, {"answer_prior", "text_prior"}),
        ({"task": "retrieval"}, {"task": "retrieval"}, {"text_prior"}),
        ({"task": "localisation"}, {}, {"moment_prior"}),
        ({"task": "counting"}, {"task": "counting", "data.eval_texts": "no"}, {"answer_prior"}),
    ],
)
def test_what_is_left_out_is_told(folders, evaluated, trained, said):
  one, _ = folders
  (found, notes), _ = _probed(_config(one, **evaluated), _config(one, **trained), one)
  assert not found
  assert set(notes) == said
  assert all(note.startswith("left out: ") for note in notes.values())


def test_damaged_training_data_are_an_error(tmp_path):
  folder = tiny.prepare(tmp_path, datasets=("msrvtt_qa",))
  for records in (folder / "msrvtt" / "qa").glob("*-train.array_record-*"):
    records.write_bytes(records.read_bytes()[:100])
  config = _config(folder)
  with pytest.raises(UserError, match="train"):
    _probed(config, config, folder)
