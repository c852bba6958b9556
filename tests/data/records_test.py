"""Random access to records, their parsing inside a graph, and damaged shards."""

from collections.abc import Iterator
import concurrent.futures
import copy
import math
import pathlib

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.data import record_format, record_writer, records, text_fields
from mla_jax.data.annotations.schema import Segment, Subtitle
from mla_jax.data.media import Media
from mla_jax.data.record_format import TextRecord
from mla_jax.data.records import MediaStore, Shards
from mla_jax.errors import UserError
from tests.data import video_files
from tests.data.media_folders import WIDTH, add, write_features

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)
_TIME = st.one_of(st.just(math.nan), st.floats(0, 1e4, width=32))
_SEGMENT = st.builds(Segment, st.integers(0, 99), st.integers(0, 99), _TIME, _TIME)
_TEXTS = st.lists(_TEXT, max_size=3).map(tuple)
_DOUBLE = st.floats(0, 1e6)
_SCORE = st.integers(0, 4)


@given(
  st.builds(
    TextRecord,
    item_id=_TEXT,
    video_id=_TEXT,
    media_index=st.integers(-1, 2**40),
    text=_TEXT,
    segments=st.lists(_SEGMENT, max_size=4).map(tuple),
    answer=_TEXT,
    question_type=_TEXT,
    candidates=_TEXTS,
    answer_index=st.integers(-1, 4),
    count=st.integers(-1, 10),
    references=_TEXTS,
    moments=st.lists(st.tuples(_DOUBLE, _DOUBLE), max_size=3).map(tuple),
    saliency=st.lists(st.tuples(_SCORE, _SCORE, _SCORE, _SCORE), max_size=3).map(tuple),
    duration=st.just(math.nan) | _DOUBLE,
    subtitles=st.lists(
      st.builds(Subtitle, _TEXT, st.floats(0, 99, width=32), st.floats(0, 99, width=32)),
      max_size=2,
    ).map(tuple),
  )
)
def test_a_text_is_parsed_as_it_was_written(record: TextRecord) -> None:
  raw = record_format.serialise_text(record)
  assert raw == record_format.serialise_text(record)
  assert repr(record_format.parse_text(raw)) == repr(record)
  every = record_format.serialise_text(record, tuple(text_fields.FIELDS))
  assert repr(record_format.parse_text(every)) == repr(record)


def test_a_plain_text_is_stored_as_ever() -> None:
  from tensorflow.core.example import example_pb2

  record = TextRecord("i", "v", 3, "a dog", (Segment(0, 5, 0.5, 2.0),), "dog", "what")
  stored = example_pb2.Example.FromString(record_format.serialise_text(record)).features.feature
  assert sorted(stored) == [
    "answer", "item_id", "media_index", "question_type", "segments/end", "segments/end_time",
    "segments/start", "segments/start_time", "text", "video_id",
  ]  # fmt: skip


def _shards(directory: pathlib.Path, lengths: list[int]) -> Shards:
  paths, start = [], 0
  for i, length in enumerate(lengths):
    paths.append(directory / record_format.shard_name("test", "train", i))
    record_writer.write_shard(paths[-1], (b"%d" % k for k in range(start, start + length)))
    start += length
  return Shards(paths, lengths)


def test_records_of_several_shards_are_one_sequence(tmp_path: pathlib.Path) -> None:
  shards = _shards(tmp_path, [3, 1, 5])
  assert len(shards) == 9
  order = [8, 0, 3, 3, 2, 4]
  assert shards.read(order) == [b"%d" % i for i in order]
  assert shards.read(np.array(order, np.int32)) == shards.read(order)
  assert shards.read([]) == []
  for index in (-1, 9):
    with pytest.raises(IndexError, match=f"record {index} of 9"):
      shards.read([0, index])


def test_many_threads_may_read_at_once(tmp_path: pathlib.Path) -> None:
  shards = _shards(tmp_path, [400, 300, 300])
  orders = [np.random.default_rng(i).integers(0, 1000, 200) for i in range(64)]
  with concurrent.futures.ThreadPoolExecutor(16) as pool:
    for order, records in zip(orders, pool.map(shards.read, orders), strict=True):
      assert records == [b"%d" % i for i in order]


def _texts(directory: pathlib.Path, count: int) -> Shards:
  path = directory / record_format.shard_name("test", "train", 0)
  texts = (TextRecord(f"i{i}", "v", i, f"text {i}", (), "", "") for i in range(count))
  record_writer.write_shard(path, map(record_format.serialise_text, texts))
  return Shards([path], [count])


@pytest.mark.parametrize("room", [0, 100, 1 << 20])
def test_texts_are_the_same_whether_they_are_kept_or_read_again(
    tmp_path: pathlib.Path, room: int
) -> None:
  texts = records.Parsed(_texts(tmp_path, 40), record_format.parse_text, room)
  orders = [np.random.default_rng(i).integers(0, 40, 30) for i in range(16)]
  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for order, read in zip(orders, pool.map(texts.read, orders), strict=True):
      assert [record.item_id for record in read] == [f"i{i}" for i in order]
      assert [record.media_index for record in read] == order.tolist()
  with pytest.raises(IndexError, match="record 40 of 40"):
    texts.read([3, 40])


def test_a_kept_text_is_not_read_again_nor_sent_to_another_process(tmp_path: pathlib.Path) -> None:
  texts = records.Parsed(_texts(tmp_path, 9), record_format.parse_text, 1 << 20)
  (first,) = texts.read([3])
  assert texts.read([3, 4])[0] is first
  (there,) = copy.copy(texts).read([3])  # By what a pickle is made of.
  assert there.item_id == first.item_id and there is not first


def test_a_damaged_shard_is_named(tmp_path: pathlib.Path) -> None:
  shards = _shards(tmp_path, [300])
  path = tmp_path / record_format.shard_name("test", "train", 0)
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])
  with pytest.raises(UserError, match=r"train.array_record-00000: damaged"):
    shards.read([299])
  path.unlink()
  with pytest.raises(UserError, match=r"train.array_record-00000: damaged"):
    Shards([path], [300]).read([0])
  path.write_bytes(content)
  with pytest.raises(UserError, match="300 records, the manifest says 299"):
    Shards([path], [299]).read([0])


def test_features_are_parsed(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 4)
  add(tmp_path / "out", tmp_path / "in", frame_rate=2.0)
  store = MediaStore.open(tmp_path / "out")
  assert [record_format.parse_media(raw, WIDTH)[0] for raw in store.shards.read([3, 0])] == [
      "v003", "v000"
  ]
  (parsed,) = store.read([3])
  assert store.read([3, 1])[0] is parsed  # Kept, so nobody may change it.
  assert not parsed.payload.flags.writeable
  assert parsed.payload.dtype == np.float16
  np.testing.assert_array_equal(parsed.payload, np.full((4, WIDTH), 3))
  np.testing.assert_array_equal(parsed.time, [0, 0.5, 1, 1.5])
  assert parsed.duration == 2


def test_frames_stay_encoded(tmp_path: pathlib.Path) -> None:
  import tensorflow as tf

  video_files.write_video(tmp_path / "in" / "a.mp4", 20)
  add(tmp_path / "out", tmp_path / "in")
  store = MediaStore.open(tmp_path / "out")
  parsed = store.read([0])[0]
  assert tf.io.decode_jpeg(parsed.payload[3]).shape == (48, 64, 3)
  np.testing.assert_allclose(parsed.time, [0, 0.5, 1, 1.5])


def test_a_shard_that_cannot_be_written_whole_has_no_name(tmp_path: pathlib.Path) -> None:
  path = tmp_path / record_format.shard_name("test", "train", 0)

  def records() -> Iterator[bytes]:
    yield b"one"
    raise KeyError("the source failed")

  with pytest.raises(KeyError):
    record_writer.write_shard(path, records())
  assert not path.exists()
  with pytest.raises(OSError, match=r"nowhere|No such file"):
    record_writer.write_shard(tmp_path / "nowhere" / "a", [b"one"])


@pytest.mark.parametrize("name", ["all", "", "train-9k", "_", "a b", "train.x"])
def test_split_names_that_tfds_cannot_hold(name: str) -> None:
  with pytest.raises(UserError, match="not a usable name"):
    record_format.check_split_name(name)


def test_features_keep_every_bit() -> None:
  values = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float16)
  media = Media(3.5, np.arange(7, dtype=np.float32) / 2, values)
  video_id, parsed = record_format.parse_media(record_format.serialise_media("v", media), 5)
  assert video_id == "v"
  np.testing.assert_array_equal(parsed.payload, values)
  np.testing.assert_array_equal(parsed.time, media.time)
  assert parsed.duration == 3.5
