"""Which rows of a batch a host reads, and how many rows a batch of an evaluation has."""

import dataclasses

import numpy as np
import pytest

from mla_jax.data import pipeline, sources
from mla_jax.data.records import MediaStore
from mla_jax.errors import UserError
from tests import tiny
from tests.data.readers import batches, data_config, reader


@pytest.fixture(scope="module")
def out(tmp_path_factory):
  return tiny.prepare(tmp_path_factory.mktemp("shares"))


def test_a_host_reads_the_records_of_its_rows_and_no_other(out, monkeypatch):
  read: list[int] = []

  def reading(self, indices, real=MediaStore.read):
    read.extend(map(int, indices))
    return real(self, indices)

  monkeypatch.setattr(MediaStore, "read", reading)
  drawn = sources.open_sources(data_config(out), with_video=True)

  def videos_read(**share):
    read.clear()
    found = batches(dataclasses.replace(reader(out), **share), drawn, range(1))
    assert set(read) == set(np.concatenate([batch["video_key"] for batch in found]))
    return len(read), set(read)

  whole, videos = videos_read()
  (ours, mine), (theirs, others) = (videos_read(devices=2, places=(n,)) for n in range(2))
  assert ours == theirs == whole // 2
  assert mine | others == videos and mine != videos


def test_rows_of_devices_that_are_no_neighbours(out):
  share = dataclasses.replace(reader(out), devices=4, places=(0, 3)).share(8)
  np.testing.assert_array_equal(share, [0, 1, 6, 7])
  with pytest.raises(UserError, match="a batch of 6 rows does not divide over 4 devices"):
    dataclasses.replace(reader(out), devices=4).share(6)


def test_batches_of_an_evaluation_divide_over_the_devices(out):
  texts = sources.open_texts(data_config(out), "retrieval", "validate", with_video=True)
  many = dataclasses.replace(reader(out), devices=8, places=tuple(range(8)))
  for size, rows in ((1, 8), (8, 8), (9, 16)):
    found = list(pipeline.text_batches(many, texts, size))
    assert {len(batch["text"]) for batch in found} == {rows}
    seen = np.concatenate([batch["example_id"][batch["mask"]] for batch in found])
    assert sorted(seen) == list(range(30))
  assert len(next(pipeline.text_batches(many.whole(), texts, 3))["text"]) == 3
