"""The pipeline on a tiny prepared dataset: pure in (seed, step), exact, and never a wrong mask."""

import dataclasses
import functools

import numpy as np
import pytest

from configs import common
from mla_jax.data import examples, pipeline, selection, sources
from mla_jax.data.records import MediaStore
from mla_jax.errors import UserError
from tests import tiny
from tests.data.readers import SHAPES, assert_same, batches, data_config, reader


@pytest.fixture(scope="module")
def out(tmp_path_factory):
  return tiny.prepare(tmp_path_factory.mktemp("pipeline"))


def test_batches_of_a_step_are_the_same_wherever_one_starts(out):
  drawn = sources.open_sources(data_config(out), with_video=True)
  walked = batches(reader(out), drawn, range(5))
  for step, batch in zip((3, 4), batches(reader(out), drawn, range(3, 5)), strict=True):
    assert_same(walked[step], batch)
  assert not np.array_equal(walked[0]["video_key"], walked[1]["video_key"])


def test_videos_added_to_the_family_change_no_batch(tmp_path):
  out = tiny.prepare(tmp_path / "old", datasets=("msrvtt_retrieval", "timed_captions"))

  def some() -> list:
    drawn = sources.open_sources(data_config(out, captions=2), with_video=True)
    return batches(reader(out, captions=2), drawn, range(5))

  before = some()
  tiny.prepare(tmp_path / "new", videos=12, first=40, datasets=("msrvtt_qa",), out=out)
  assert len(MediaStore.open(out / "msrvtt" / "media")) == 52
  for one, other in zip(before, some(), strict=True):
    assert_same(one, other)


@pytest.mark.parametrize("captions", [1, 3])
@pytest.mark.parametrize("places", [[(0,), (1,)], [(0, 3), (1, 2)], [(1,), (0, 2), (3,)]])
def test_processes_read_the_parts_of_one_batch(out, captions, places):
  drawn = sources.open_sources(data_config(out, captions=captions), with_video=True)
  whole = batches(reader(out, captions=captions), drawn, range(2))
  devices = sum(map(len, places))
  alone = reader(out, captions=captions)
  shares = [dataclasses.replace(alone, devices=devices, places=own) for own in places]
  parts = [batches(share, drawn, range(2)) for share in shares]
  rows = len(whole[0]["mask"])
  order = np.argsort(np.concatenate([share.share(rows) for share in shares]))
  for step in range(2):
    joined = {
        name: np.concatenate([part[step][name] for part in parts])[order] for name in whole[step]
    }
    assert_same(whole[step], joined)


def test_training_batches_hold_what_the_files_say(out):
  drawn = sources.open_sources(data_config(out), with_video=True)
  names = MediaStore.open(out / "msrvtt" / "media").video_ids()
  held = set(dev_videos(out))
  for batch in batches(reader(out), drawn, range(4)):
    for row in range(len(batch["mask"])):
      number = int(names[batch["video_key"][row]].removeprefix("video"))
      assert number % 4 != 3  # A train video ...
      assert names[batch["video_key"][row]] not in held  # ... not kept for selection.
      colour = tiny.COLOURS.index(tiny._scene(number)[0])
      real = batch["frame_mask"][row]
      assert real.sum() == (3 if number % 5 == 0 else 4)
      assert (batch["video"][row][real].mean(0)[:6].argmax()) == colour
      assert not batch["video"][row][~real].any()
      text = batch["text_mask"][row]
      assert (batch["text_segment"][row][~text] == 0).all()
      assert set(batch["text_segment"][row]) <= {0, 1, 2, 3}


def dev_videos(out) -> list[str]:
  dev = selection.open_dev(data_config(out), with_video=True)
  ids = dev.store.video_ids(dev.split)
  return [ids[item] for item in dev.items]


def test_timed_sentences_overlap_their_half_of_the_video(out):
  config = data_config(out)
  drawn = sources.open_sources(config, with_video=True)
  timed = {source.name: source for source in drawn}["timed"]
  seen = 0
  for batch in batches(reader(out), (timed,), range(3)):
    for row in range(len(batch["mask"])):
      number = batch["overlap"][row]  # [N, M]; one sentence was drawn.
      if batch["frame_mask"][row].all():  # Not a video that ends at 3 s.
        assert sorted(number[:, 0].tolist()) == pytest.approx([0, 1], abs=1e-6)
        seen += 1
      assert (number[:, 1:] == -1).all()
  assert seen > 5


def test_captions_have_no_overlap(out):
  drawn = sources.open_sources(data_config(out), with_video=True)
  captions = {source.name: source for source in drawn}["captions"]
  for batch in batches(reader(out), (captions,), range(2)):
    assert (batch["overlap"] == -1).all()


def test_several_captions_of_a_video_differ_and_are_padded(out):
  drawn = sources.open_sources(data_config(out, captions=5), with_video=True)
  captions = {source.name: source for source in drawn}["captions"]
  batch = batches(reader(out, captions=5), (captions,), range(1))[0]
  assert batch["text"].shape == (captions.rows, 5, 12)
  assert batch["mask"].sum(1).tolist() == [3] * captions.rows  # Videos have three.
  for ids, mask in zip(batch["example_id"], batch["mask"], strict=True):
    assert len(set(ids[mask])) == 3
  assert not batch["text_mask"][~batch["mask"]].any()


def test_without_jitter_training_takes_the_frames_of_evaluation(out):
  drawn = sources.open_sources(data_config(out), with_video=True)
  captions = {source.name: source for source in drawn}["captions"]
  centred: dict[int, np.ndarray] = {}
  for batch in pipeline.video_batches(reader(out), captions.own.texts, 8):
    centred |= dict(zip(batch["video_key"].tolist(), batch["frame_time"], strict=True))

  def moved(jitter: float) -> bool:
    found = batches(reader(out, frame_jitter=jitter), (captions,), range(3))
    return any(
        not np.array_equal(time, centred[key])
        for batch in found
        for key, time in zip(batch["video_key"].tolist(), batch["frame_time"], strict=True)
    )

  assert not moved(0.0)
  assert moved(1.0)


def test_several_runs_of_one_paragraph_fill_a_row(out):
  drawn = sources.open_sources(data_config(out, captions=3), with_video=True)
  timed = {source.name: source for source in drawn}["timed"]
  different = 0
  for batch in batches(reader(out, captions=3), (timed,), range(3)):
    assert batch["mask"].all()
    assert (batch["example_id"] == batch["example_id"][:, :1]).all()  # Videos have one paragraph.
    for overlap in batch["overlap"][batch["frame_mask"].all(1)]:  # [C, N, M]
      halves = overlap[:, :, 0].argmax(1)
      np.testing.assert_allclose(overlap[np.arange(3), halves, 0], 1.0, atol=1e-6)
      different += len(set(halves)) > 1
  assert different > 3


def test_qa_batches_align_the_question_with_its_answer_in_training_only(out):
  config = data_config(out, "qa")
  found = reader(out, answers={"red": 0, "runs": 1})
  drawn = sources.open_sources(config, with_video=True)
  batch = batches(found, drawn, range(1))[0]
  assert set(batch["answer"]) <= {-1, 0, 1}
  assert (batch["align_text_mask"].sum(1) >= batch["text_mask"].sum(1)).all()
  texts = sources.open_texts(config, "qa", "val", with_video=True)
  for batch in pipeline.text_batches(found, texts, 8, with_video=True):
    assert not any(name.startswith("align") for name in batch)


@pytest.mark.parametrize("size", [3, 8, 64])
def test_evaluation_sees_every_example_once(out, size):
  texts = sources.open_texts(data_config(out), "retrieval", "validate", with_video=True)
  for found, count in (
      (pipeline.text_batches(reader(out), texts, size), 30),
      (pipeline.video_batches(reader(out), texts, size), 10),
  ):
    seen = np.concatenate([batch["example_id"][batch["mask"]] for batch in found])
    assert sorted(seen) == list(range(count))


def test_a_video_of_an_evaluation_is_the_one_its_text_owns(out):
  texts = sources.open_texts(data_config(out), "retrieval", "validate", with_video=True)
  owner = np.unique(texts.videos, return_inverse=True)[1]
  videos = next(pipeline.video_batches(reader(out), texts, 16))
  beside = next(pipeline.text_batches(reader(out), texts, 30, with_video=True))
  for place in range(30):
    np.testing.assert_array_equal(beside["video"][place], videos["video"][owner[place]])


@pytest.mark.parametrize("with_video", [False, True])
def test_texts_of_videos_with_frames_are_read_with_and_without_them(tmp_path, with_video):
  frames = tiny.prepare(tmp_path, media="frames", videos=16, datasets=("msrvtt_retrieval",))
  texts = sources.open_texts(data_config(frames), "retrieval", "validate", with_video=True)
  batch = next(pipeline.text_batches(reader(frames), texts, 4, with_video=with_video))
  assert batch["text_mask"].any(axis=1).all()
  if with_video:
    assert batch["video"].shape == (4, SHAPES.frames, SHAPES.image_size, SHAPES.image_size, 3)
  else:
    assert not {"video", "frames"} & batch.keys()


def test_texts_beside_a_rows_own_are_about_its_video_and_have_their_slots(out):
  config = data_config(out, captions=2)
  config.sources.captions.beside = {"timed": common.beside("timed_captions", 2, sentences=1)}
  source = next(s for s in sources.open_sources(config, with_video=True) if s.name == "captions")
  slots = sources.slots(config)
  batch = batches(reader(out, captions=slots), (source,), range(3, 4))[0]
  assert batch["text"].shape[:2] == (source.rows, 4)
  assert not (batch["overlap"][:, :2] >= 0).any()  # Captions have no times.
  own, beside = source.pools
  timed = set(beside.texts.store.video_ids("train"))
  for row, key in enumerate(batch["video_key"]):
    video = MediaStore.open(out / "msrvtt" / "media").video_ids()[key]
    has = video in timed
    assert batch["mask"][row].tolist() == [True, True, has, has]
    assert (batch["overlap"][row, 2:] >= 0).any() == has
    for slot in np.flatnonzero(batch["mask"][row]):
      pool = own if slot < 2 else beside
      item = batch["example_id"][row, slot]
      assert pool.texts.store.video_ids("train")[item] == video
  assert batch["mask"][:, 2].any()


def test_texts_beside_questions_cut_one_by_one(out):
  """With a text as the unit, each text finds the other folder's texts of its own video."""
  config = data_config(out, "qa")
  config.sources.questions.beside = {"captions": common.beside("retrieval", 2)}
  (source,) = sources.open_sources(config, with_video=True)
  own, beside = source.pools
  ids = [pool.texts.store.video_ids("train") for pool in source.pools]
  for unit in range(source.units):
    rng = functools.partial(np.random.default_rng, unit)
    (mine,), others = own.draw(unit, rng), beside.draw(unit, rng)
    assert mine == unit and len(set(others)) == 2
    video = ids[0][own.texts.items[mine]]
    assert {ids[1][item] for item in beside.texts.items[others]} == {video}


def test_the_texts_of_a_bad_step_can_be_named(out):
  drawn = sources.open_sources(data_config(out), with_video=True)
  batch = batches(reader(out), drawn, range(4, 5))[0]
  named = pipeline.row_texts(reader(out), drawn, 1, 4, rows=16)
  first = drawn[0].own.texts
  records = first.store.read(first.split, batch["example_id"][: drawn[0].rows])
  assert named[: drawn[0].rows] == [record.item_id for record in records]


def test_dev_videos_are_never_trained_on_and_do_not_depend_on_the_seed(out):
  config = data_config(out)
  dev = set(dev_videos(out))
  config.sources.captions.beside = {"timed": common.beside("timed_captions", 1)}
  for source in sources.open_sources(config, with_video=True):
    for pool in source.pools:
      ids = pool.texts.store.video_ids(pool.texts.split)
      assert dev.isdisjoint(ids[pool.texts.items[place]] for place in pool.members)
  assert 1 <= len(dev) <= 15


def test_a_bad_text_far_into_a_split_is_one_line(out, monkeypatch):
  drawn = sources.open_sources(data_config(out), with_video=True)
  seen = []

  def fields(record, *args, **kwargs):
    seen.append(record)
    if len(seen) > 12:
      raise UserError(f"text {record.item_id}: bad")
    return examples.example_fields(record, *args, **kwargs)

  monkeypatch.setattr(pipeline, "example_fields", fields)
  with pytest.raises(UserError, match=r"^text \S+: bad$"):
    list(pipeline.text_batches(reader(out), drawn[0].own.texts, 4))
