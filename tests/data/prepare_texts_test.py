"""Texts: what is written, what the tokenizer and the answers may see, and what may be replaced."""

import dataclasses
import pathlib

import numpy as np
import pytest

from mla_jax.data import (
  prepare_texts,
  record_format,
  record_writer,
  text_fields,
)
from mla_jax.data.annotations.schema import (
  Segment,
  Subtitle,
  TextItem,
)
from mla_jax.data.prepare_texts import TextSettings
from mla_jax.data.records import TextStore
from mla_jax.errors import UserError
from tests.data.media_folders import digests
from tests.data.text_items import SETTINGS, choices, prepare, question, questions


def test_texts_are_read_as_they_were_given(tmp_path: pathlib.Path) -> None:
  items = questions()
  spans = (Segment(0, 4, 0.5, 2.0), Segment(5, 9, 2.0, 3.25))
  items[1] = dataclasses.replace(items[1], segments=spans)
  store = TextStore.open(prepare(tmp_path, items, {"v0": 7, "v2": 3}))
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

  folder = prepare(tmp_path, questions())
  source = tfds.builder_from_directory(folder).as_data_source(split="val")
  assert [row["text"] for row in source] == [b"what does the dog do?", b"what does the fish do?"]
  assert source[0]["media_index"] == -1
  assert source[0]["segments"]["start"][0] == 0


def test_tfds_reads_every_field(tmp_path: pathlib.Path) -> None:
  import tensorflow_datasets as tfds

  full = choices(
    0, "train", count=3, references=("jog",), moments=((0.5, 24.3), (30.0, 30.4)),
    saliency=((7, 0, 3, 4),), duration=30.96, subtitles=(Subtitle("run, dog!", 1.5, 2.0),),
  )  # fmt: skip
  plain = TextItem("p", "v1", "train", "what is it?", answer="dog")
  folder = prepare(tmp_path, [full, plain])
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


def test_the_same_again_changes_nothing(tmp_path: pathlib.Path) -> None:
  folder = prepare(tmp_path, questions(), {"v0": 1})
  before = digests(tmp_path)
  stamps = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
  prepare(tmp_path, questions(), {"v0": 1})
  assert digests(tmp_path) == before
  assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == stamps


def test_media_that_arrive_later_replace_the_index(tmp_path: pathlib.Path) -> None:
  folder = prepare(tmp_path, questions())
  first = TextStore.open(folder).manifest
  prepare(tmp_path, questions(), {"v0": 0})
  second = TextStore.open(folder).manifest
  assert TextStore.open(folder).media_index("train").tolist() == [0, -1, -1]
  assert first["fingerprint"] != second["fingerprint"]
  assert first["texts_fingerprint"] == second["texts_fingerprint"]
  assert sorted(path.name for path in folder.parent.iterdir()) == ["qa"]


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda items: (items, TextSettings(vocab_size=50)), "vocab_size 60, not 50"),
    (lambda items: (items[:-1], SETTINGS), "prepared from other annotations"),
    (
      lambda items: ([dataclasses.replace(items[0], answer="jump"), *items[1:]], SETTINGS),
      "prepared from other annotations",
    ),
  ],
)
def test_other_texts_or_settings_are_refused(
  tmp_path: pathlib.Path, change: object, message: str
) -> None:
  prepare(tmp_path, questions())
  before = digests(tmp_path)
  items, settings = change(questions())  # type: ignore[operator]
  with pytest.raises(UserError, match=message):
    prepare(tmp_path, items, settings=settings)
  assert digests(tmp_path) == before


def test_a_failure_leaves_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
  def fail(*_: object) -> int:
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(record_writer, "write_shard", fail)
  with pytest.raises(UserError, match="disk full"):
    prepare(tmp_path, questions())
  assert list((tmp_path / "test").iterdir()) == []


def test_leftovers_of_a_killed_run_are_removed(tmp_path: pathlib.Path) -> None:
  for name in ("qa.partial", "qa.old"):
    (tmp_path / "test" / name).mkdir(parents=True)
    (tmp_path / "test" / name / "file").touch()
  folder = prepare(tmp_path, questions())
  assert sorted(path.name for path in folder.parent.iterdir()) == ["qa"]


def test_a_split_that_tfds_reserves_is_refused(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match="split 'all'"):
    prepare(tmp_path, [*questions(), question(6, "all", "what?", "x")])
  assert list((tmp_path / "test").iterdir()) == []


def test_many_texts_fill_several_shards(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(prepare_texts, "SHARD_TEXTS", 4)
  items = [question(i, "train", f"what is number {i}?", "one") for i in range(10)]
  store = TextStore.open(prepare(tmp_path, items))
  assert [r.item_id for r in store.read("train", [9, 0, 4, 3])] == [
    "q9",
    "q0",
    "q4",
    "q3",
  ]
  assert sum(".array_record" in entry["name"] for entry in store.manifest["files"]) == 3
