"""What the tokenizer and the answers may see of the texts, and a tokenizer that is given."""

import dataclasses
import pathlib

import pytest

from mla_jax.data import answers, record_format, verify_dataset
from mla_jax.data.annotations.schema import Subtitle, TextItem
from mla_jax.data.prepare_texts import TextSettings, training_splits
from mla_jax.data.records import TextStore
from mla_jax.data.text import TOKENIZER_MODEL
from mla_jax.errors import UserError
from tests import bert_checkpoint
from tests.data.media_folders import digests
from tests.data.text_items import choices, prepare, questions


def test_choices_make_no_vocabulary_and_teach_the_tokenizer(tmp_path: pathlib.Path) -> None:
  folder = prepare(tmp_path / "a", [choices(0, "train"), choices(1, "val")])
  assert not (folder / record_format.ANSWERS).exists()
  manifest = TextStore.open(folder).manifest
  assert manifest["answers"] == 0
  assert "ceiling" not in manifest["splits"]["val"]
  assert manifest["fields"] == ["candidates", "answer_index"]
  model = (folder / TOKENIZER_MODEL).read_bytes()
  heard = choices(0, "train", subtitles=(Subtitle("zebra", 0, 1),))
  for name, item in (("b", heard), ("c", dataclasses.replace(heard, candidates=("quagga", "run")))):
    folder = prepare(tmp_path / name, [item, choices(1, "val")])
    assert (folder / TOKENIZER_MODEL).read_bytes() != model


def test_the_tokenizer_sees_training_texts_and_answers_only(tmp_path: pathlib.Path) -> None:
  def model(name: str, items: list[TextItem]) -> bytes:
    return (prepare(tmp_path / name, items) / TOKENIZER_MODEL).read_bytes()

  items = questions()
  whole = model("whole", items)
  assert model("again", items) == whole
  unseen = [
    item if item.split == "train" else dataclasses.replace(item, text="zebra?", answer="quagga")
    for item in items
  ]
  assert model("unseen", unseen) == whole
  assert model("text", [dataclasses.replace(items[0], text="zebra?"), *items[1:]]) != whole
  assert model("answer", [dataclasses.replace(items[0], answer="quagga"), *items[1:]]) != whole


def test_answers_are_those_of_training(tmp_path: pathlib.Path) -> None:
  folder = prepare(tmp_path, questions())
  assert answers.read_answers(folder / record_format.ANSWERS) == [("run", 2), ("sleep", 1)]
  splits = TextStore.open(folder).manifest["splits"]
  assert [splits[name]["ceiling"] for name in ("train", "val", "test")] == [1, 0.5, 0]


@pytest.mark.parametrize(
  ("splits", "expected"),
  [
    (["train", "val", "test"], ["train"]),
    (["train", "train_9k", "test_1k_a"], ["train"]),  # Of train_9k, some is tested on elsewhere.
    (["test", "train_7k", "train_9k"], ["train_7k", "train_9k"]),
    (["val", "test", "strain"], []),
  ],
)
def test_training_splits(splits: list[str], expected: list[str]) -> None:
  assert training_splits(splits) == expected


def test_without_a_training_split_there_is_no_tokenizer(tmp_path: pathlib.Path) -> None:
  folder = prepare(tmp_path, questions()[3:])
  assert not (folder / TOKENIZER_MODEL).exists()
  assert not (folder / record_format.ANSWERS).exists()
  assert "no training split" in TextStore.open(folder).manifest["notes"][-1]


def test_a_given_tokenizer_is_copied(tmp_path: pathlib.Path) -> None:
  model = prepare(tmp_path / "a", questions()) / TOKENIZER_MODEL
  folder = prepare(tmp_path / "b", questions()[3:], settings=TextSettings(tokenizer=model))
  assert (folder / TOKENIZER_MODEL).read_bytes() == model.read_bytes()
  (tmp_path / "bad.model").write_bytes(b"no model")
  for name in ("bad.model", "none.model"):
    settings = TextSettings(tokenizer=tmp_path / name)
    with pytest.raises(UserError, match=name):
      prepare(tmp_path / "c", questions(), settings=settings)
  assert digests(tmp_path / "c") == {}


def test_a_given_tokenizer_json_is_copied_under_its_name(tmp_path: pathlib.Path) -> None:
  given = tmp_path / "any.json"
  bert_checkpoint.tokenizer().save(str(given))
  settings = TextSettings(tokenizer=given)
  folder = prepare(tmp_path / "a", questions(), settings=settings)
  assert (folder / "tokenizer.json").read_bytes() == given.read_bytes()
  assert not (folder / "tokenizer.model").exists()
  files = {entry["name"] for entry in TextStore.open(folder).manifest["files"]}
  assert "tokenizer.json" in files
  verify_dataset.verify(folder)
  prepare(tmp_path / "a", questions(), settings=settings)
  with pytest.raises(UserError, match=r"prepared with vocab_size None, not 60"):
    prepare(tmp_path / "a", questions())
  given.write_text("{}")
  with pytest.raises(UserError, match=r"any.json: not a tokenizer"):
    prepare(tmp_path / "c", questions(), settings=settings)
  assert digests(tmp_path / "c") == {}
