"""Texts: what is written, what the tokenizer and the answers may see, and what may be replaced."""

import dataclasses
import pathlib

import numpy as np
import pytest

from mla_jax.data import (
  answers,
  prepare_texts,
  record_format,
  record_writer,
  text_fields,
  verify_dataset,
)
from mla_jax.data.annotations.schema import (
  Annotations,
  Count,
  Segment,
  Subtitle,
  TextItem,
  Video,
)
from mla_jax.data.prepare_texts import TextSettings, training_splits
from mla_jax.data.records import TextStore
from mla_jax.data.text import TOKENIZER_MODEL
from mla_jax.errors import UserError
from tests import bert_checkpoint
from tests.data.media_folders import digests

_SETTINGS = TextSettings(vocab_size=60)


def _annotations(*items: TextItem, task: str = "qa") -> Annotations:
  ids = dict.fromkeys(item.video_id for item in items)
  videos = tuple(Video(video_id, (video_id,)) for video_id in ids)
  return Annotations("test", task, items, videos, (Count("texts", len(items), None),))


def _question(number: int, split: str, text: str, answer: str) -> TextItem:
  return TextItem(f"q{number}", f"v{number % 3}", split, text, answer=answer, question_type="what")


def _questions() -> list[TextItem]:
  return [
    _question(0, "train", "what does the dog do in the garden?", "run"),
    _question(1, "train", "what does the cat do on the roof?", "sleep"),
    _question(2, "train", "what does the bird do in the tree?", "run"),
    _question(3, "val", "what does the dog do?", "run"),
    _question(4, "val", "what does the fish do?", "swim"),
    _question(5, "test", "who sleeps on the roof?", "cat"),
  ]


def _prepare(
  directory: pathlib.Path,
  items: list[TextItem],
  index: dict[str, int] | None = None,
  settings: TextSettings = _SETTINGS,
) -> pathlib.Path:
  folder = directory / "test" / "qa"
  folder.parent.mkdir(parents=True, exist_ok=True)
  prepare_texts.prepare_texts(folder, _annotations(*items), index or {}, settings)
  return folder


def test_texts_are_read_as_they_were_given(tmp_path: pathlib.Path) -> None:
  items = _questions()
  spans = (Segment(0, 4, 0.5, 2.0), Segment(5, 9, 2.0, 3.25))
  items[1] = dataclasses.replace(items[1], segments=spans)
  store = TextStore.open(_prepare(tmp_path, items, {"v0": 7, "v2": 3}))
  assert store.splits == {"train": 3, "val": 2, "test": 1}
  assert store.media_index("train").tolist() == [7, -1, 3]
  assert store.media_index("train").dtype == np.int64
  assert store.video_ids("val") == ["v0", "v1"]
  first, second = store.read("train", [0, 1])
  assert dataclasses.replace(first, segments=()) == record_format.TextRecord(
    "q0", "v0", 7, "what does the dog do in the garden?", (), "run", "what"
  )
  assert first.segments, "cut_text was not asked for phrases"
  assert second.segments == spans
  assert second.media_index == -1
  with pytest.raises(UserError, match="no split 'trian': there are train, val, test"):
    store.read("trian", [0])


def test_tfds_opens_the_folder(tmp_path: pathlib.Path) -> None:
  import tensorflow_datasets as tfds

  folder = _prepare(tmp_path, _questions())
  source = tfds.builder_from_directory(folder).as_data_source(split="val")
  assert [row["text"] for row in source] == [b"what does the dog do?", b"what does the fish do?"]
  assert source[0]["media_index"] == -1
  assert source[0]["segments"]["start"][0] == 0


def _choices(number: int, split: str, **fields: object) -> TextItem:
  return TextItem(
    f"c{number}", "v0", split, "what does the dog do?", answer="run", candidates=("sit", "run"),
    answer_index=1, **fields
  )  # fmt: skip


def test_tfds_reads_every_field(tmp_path: pathlib.Path) -> None:
  import tensorflow_datasets as tfds

  full = _choices(
    0, "train", count=3, references=("jog",), moments=((0.5, 24.3), (30.0, 30.4)),
    saliency=((7, 0, 3, 4),), duration=30.96, subtitles=(Subtitle("run, dog!", 1.5, 2.0),),
  )  # fmt: skip
  plain = TextItem("p", "v1", "train", "what is it?", answer="dog")
  folder = _prepare(tmp_path, [full, plain])
  assert TextStore.open(folder).manifest["fields"] == [
    "candidates", "answer_index", "count", "references", "moments", "saliency", "duration",
    "subtitles",
  ]  # fmt: skip
  first, second = tfds.builder_from_directory(folder).as_data_source(split="train")
  assert list(first["candidates"]) == [b"sit", b"run"]
  assert (first["answer_index"], first["count"], first["duration"]) == (1, 3, 30.96)
  assert list(first["references"]) == [b"jog"]
  assert first["moments"].tolist() == [[0.5, 24.3], [30.0, 30.4]]
  assert first["saliency"].tolist() == [[7, 0, 3, 4]]
  assert list(first["subtitles"]["text"]) == [b"run, dog!"]
  assert list(first["subtitles"]["end"]) == [2.0]
  assert (second["answer_index"], second["count"]) == (-1, -1)
  assert [len(second[name]) for name in ("candidates", "references", "moments", "saliency")] == (
    [0] * 4)
  assert np.isnan(second["duration"])
  assert len(second["subtitles"]["text"]) == 0
  parsed = TextStore.open(folder).read("train", [0])[0]
  assert {name: getattr(parsed, name) for name in text_fields.FIELDS} == {
    name: getattr(full, name) for name in text_fields.FIELDS
  }


def test_choices_make_no_vocabulary_and_teach_the_tokenizer(tmp_path: pathlib.Path) -> None:
  folder = _prepare(tmp_path / "a", [_choices(0, "train"), _choices(1, "val")])
  assert not (folder / record_format.ANSWERS).exists()
  manifest = TextStore.open(folder).manifest
  assert manifest["answers"] == 0
  assert "ceiling" not in manifest["splits"]["val"]
  assert manifest["fields"] == ["candidates", "answer_index"]
  model = (folder / TOKENIZER_MODEL).read_bytes()
  heard = _choices(0, "train", subtitles=(Subtitle("zebra", 0, 1),))
  for name, item in (("b", heard), ("c", dataclasses.replace(heard, candidates=("quagga", "run")))):
    folder = _prepare(tmp_path / name, [item, _choices(1, "val")])
    assert (folder / TOKENIZER_MODEL).read_bytes() != model


def test_the_tokenizer_sees_training_texts_and_answers_only(tmp_path: pathlib.Path) -> None:
  def model(name: str, items: list[TextItem]) -> bytes:
    return (_prepare(tmp_path / name, items) / TOKENIZER_MODEL).read_bytes()

  items = _questions()
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
  folder = _prepare(tmp_path, _questions())
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
  folder = _prepare(tmp_path, _questions()[3:])
  assert not (folder / TOKENIZER_MODEL).exists()
  assert not (folder / record_format.ANSWERS).exists()
  assert "no training split" in TextStore.open(folder).manifest["notes"][-1]


def test_a_given_tokenizer_is_copied(tmp_path: pathlib.Path) -> None:
  model = _prepare(tmp_path / "a", _questions()) / TOKENIZER_MODEL
  folder = _prepare(tmp_path / "b", _questions()[3:], settings=TextSettings(tokenizer=model))
  assert (folder / TOKENIZER_MODEL).read_bytes() == model.read_bytes()
  (tmp_path / "bad.model").write_bytes(b"no model")
  for name in ("bad.model", "none.model"):
    settings = TextSettings(tokenizer=tmp_path / name)
    with pytest.raises(UserError, match=name):
      _prepare(tmp_path / "c", _questions(), settings=settings)
  assert digests(tmp_path / "c") == {}


def test_a_given_tokenizer_json_is_copied_under_its_name(tmp_path: pathlib.Path) -> None:
  given = tmp_path / "any.json"
  bert_checkpoint.tokenizer().save(str(given))
  settings = TextSettings(tokenizer=given)
  folder = _prepare(tmp_path / "a", _questions(), settings=settings)
  assert (folder / "tokenizer.json").read_bytes() == given.read_bytes()
  assert not (folder / "tokenizer.model").exists()
  files = {entry["name"] for entry in TextStore.open(folder).manifest["files"]}
  assert "tokenizer.json" in files
  verify_dataset.verify(folder)
  _prepare(tmp_path / "a", _questions(), settings=settings)
  with pytest.raises(UserError, match=r"prepared with vocab_size None, not 60"):
    _prepare(tmp_path / "a", _questions())
  given.write_text("{}")
  with pytest.raises(UserError, match=r"any.json: not a tokenizer"):
    _prepare(tmp_path / "c", _questions(), settings=settings)
  assert digests(tmp_path / "c") == {}


def test_the_same_again_changes_nothing(tmp_path: pathlib.Path) -> None:
  folder = _prepare(tmp_path, _questions(), {"v0": 1})
  before = digests(tmp_path)
  stamps = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
  _prepare(tmp_path, _questions(), {"v0": 1})
  assert digests(tmp_path) == before
  assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == stamps


def test_media_that_arrive_later_replace_the_index(tmp_path: pathlib.Path) -> None:
  folder = _prepare(tmp_path, _questions())
  first = TextStore.open(folder).manifest
  _prepare(tmp_path, _questions(), {"v0": 0})
  second = TextStore.open(folder).manifest
  assert TextStore.open(folder).media_index("train").tolist() == [0, -1, -1]
  assert first["fingerprint"] != second["fingerprint"]
  assert first["texts_fingerprint"] == second["texts_fingerprint"]
  assert sorted(path.name for path in folder.parent.iterdir()) == ["qa"]


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda items: (items, TextSettings(vocab_size=50)), "vocab_size 60, not 50"),
    (lambda items: (items[:-1], _SETTINGS), "prepared from other annotations"),
    (
      lambda items: ([dataclasses.replace(items[0], answer="jump"), *items[1:]], _SETTINGS),
      "prepared from other annotations",
    ),
  ],
)
def test_other_texts_or_settings_are_refused(
  tmp_path: pathlib.Path, change: object, message: str
) -> None:
  _prepare(tmp_path, _questions())
  before = digests(tmp_path)
  items, settings = change(_questions())  # type: ignore[operator]
  with pytest.raises(UserError, match=message):
    _prepare(tmp_path, items, settings=settings)
  assert digests(tmp_path) == before


def test_a_failure_leaves_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
  def fail(*_: object) -> int:
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(record_writer, "write_shard", fail)
  with pytest.raises(UserError, match="disk full"):
    _prepare(tmp_path, _questions())
  assert list((tmp_path / "test").iterdir()) == []


def test_leftovers_of_a_killed_run_are_removed(tmp_path: pathlib.Path) -> None:
  for name in ("qa.partial", "qa.old"):
    (tmp_path / "test" / name).mkdir(parents=True)
    (tmp_path / "test" / name / "file").touch()
  folder = _prepare(tmp_path, _questions())
  assert sorted(path.name for path in folder.parent.iterdir()) == ["qa"]


def test_a_split_that_tfds_reserves_is_refused(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match="split 'all'"):
    _prepare(tmp_path, [*_questions(), _question(6, "all", "what?", "x")])
  assert list((tmp_path / "test").iterdir()) == []


def test_many_texts_fill_several_shards(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(prepare_texts, "SHARD_TEXTS", 4)
  items = [_question(i, "train", f"what is number {i}?", "one") for i in range(10)]
  store = TextStore.open(_prepare(tmp_path, items))
  assert [r.item_id for r in store.read("train", [9, 0, 4, 3])] == [
    "q9",
    "q0",
    "q4",
    "q3",
  ]
  assert sum(".array_record" in entry["name"] for entry in store.manifest["files"]) == 3
