"""Batches made by several processes: the same ones, and what happens when one of them fails."""

from collections.abc import Iterator
import dataclasses
import functools
import os
import pathlib
import signal
import threading
import time

import numpy as np
import pytest

from mla_jax.data import pipeline, row_processes, shared_blocks, sources
from mla_jax.data.examples import Fields
from mla_jax.data.text_states import TextStates, distinct
from mla_jax.errors import UserError
from tests import tiny
from tests.data import readers, row_makers


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return tiny.prepare(tmp_path_factory.mktemp("features"), videos=24)


def _train_batches(out: pathlib.Path, workers: int) -> Iterator[Fields]:
  reader = dataclasses.replace(readers.reader(out), workers=workers)
  drawn = sources.open_sources(readers.data_config(out), with_video=True)
  return pipeline.train_batches(reader, drawn, seed=1, steps=range(2, 7))


@pytest.mark.parametrize("media", ["features", "frames"])
def test_batches_are_the_same_to_the_bit(media: str, tmp_path: pathlib.Path) -> None:
  out = tiny.prepare(tmp_path, media=media, videos=24)
  here, there = (list(_train_batches(out, workers)) for workers in (0, 2))
  assert len(there) == 5
  for a, b in zip(here, there, strict=True):
    readers.assert_same(a, b)


def test_the_states_of_texts_are_mapped_not_copied(
    out: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  reader = readers.reader(out)
  texts = [reader.tokenizer.encode(f"a {word} dog", (), length=12, most_segments=3)
           for word in ("red", "blue")]
  ids, mask = distinct(texts)
  path = tmp_path / "states.npy"
  np.save(path, np.arange(2 * 12 * 3, dtype=np.float16).reshape(2, 12, 3))
  states = TextStates(ids, mask, np.load(path, mmap_mode="r"))
  about = functools.partial(row_makers.about_text, states)
  with row_processes.spread(about, 1) as lookup:
    for text in texts:
      np.testing.assert_array_equal(lookup(text)["states"], states.lookup(text))
  path.unlink()
  with row_processes.spread(about, 1) as lookup, pytest.raises(UserError, match="died"):
    lookup(texts[0])


def test_several_callers_keep_several_processes_busy_whatever_signals_come() -> None:
  deadline = time.monotonic() + 120  # A process takes its time to start.
  with row_processes.spread(row_makers.about_process, 2) as make:
    seen = {int(make(np.array(0))["process"])}
    for process in seen:
      os.kill(process, signal.SIGTERM)  # As a scheduler sends it to the whole group.

    def call() -> None:
      while len(seen) < 2 and time.monotonic() < deadline:
        seen.add(int(make(np.array(0))["process"]))

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
      caller.start()
    for caller in callers:
      caller.join()
  assert len(seen) == 2 and os.getpid() not in seen


def test_no_processes_is_the_function_itself() -> None:
  with row_processes.spread(row_makers.about_process, 0) as make:
    assert make is row_makers.about_process


def test_what_is_wrong_with_a_text_is_said_as_without_processes() -> None:
  with row_processes.spread(row_makers.about_process, 1) as make:
    with pytest.raises(UserError, match=r"^text video7@3: bad$"):
      make(np.array(1))
    assert make(np.array(0))["process"] != os.getpid()


def test_a_process_that_dies_is_one_line() -> None:
  died = pytest.raises(UserError, match=r"^data.workers=1: .* died .* start again, with fewer$")
  with row_processes.spread(row_makers.about_process, 1) as make, died:
    make(np.array(2))


def test_a_damaged_file_ends_the_iteration_with_its_line(tmp_path: pathlib.Path) -> None:
  out = tiny.prepare(tmp_path, videos=24)
  for shard in (out / "msrvtt" / "media").glob("*array_record*"):
    shard.unlink()
  with pytest.raises(UserError, match=r"media\S+: damaged .*: prepare it again$"):
    list(_train_batches(out, 1))


SIZES = [3, 3, 100_000, 5, 100_001, 0, 100_001]  # Growing, shrinking: blocks with and without room.


@pytest.mark.parametrize("memory", [True, False])
def test_batches_of_any_size_and_type_arrive_and_can_be_kept(
    memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
  if not memory:
    monkeypatch.delattr(os, "memfd_create")
  with row_processes.spread(row_makers.of_size, 1) as make:
    found = [make(np.array(size)) for size in SIZES]
  for size, batch in zip(SIZES, found, strict=True):
    assert batch.pop("process") != os.getpid()
    wanted = row_makers.of_size(np.array(size))
    del wanted["process"]
    readers.assert_same(batch, wanted)
    batch["half"][...] = 0.0  # Its own memory.


def test_what_several_callers_are_given_is_not_mixed_up() -> None:
  wrong: list[int] = []

  def call(make: row_processes.Make, first: int) -> None:
    for size in range(first, first + 300):
      batch = make(np.array(size))
      if not ((batch["half"] == np.float16(size)).all() and batch["half"].shape == (size, 5)):
        wrong.append(size)

  with row_processes.spread(row_makers.of_size, 2) as make:
    callers = [threading.Thread(target=call, args=(make, 100 * n + 1)) for n in range(4)]
    for caller in callers:
      caller.start()
    for caller in callers:
      caller.join()
  assert not wrong


def test_a_block_with_room_takes_all_but_strings() -> None:
  batch = {"video": np.ones(1 << 20, np.int8), "frames": np.array([b"jpeg"], object)}
  assert not shared_blocks.pack(batch, None).places
  packed = shared_blocks.pack(batch, (block := shared_blocks.Block(1 << 20)).key)
  assert list(packed.rest) == ["frames"] and packed.size == 1 << 20
  readers.assert_same(shared_blocks.unpack(packed, block), batch)


def test_where_a_block_cannot_be_mapped_all_goes_by_the_pipe() -> None:
  batch = {"video": np.ones(9, np.int8)}
  packed = shared_blocks.pack(batch, (-1, "/proc/0/fd/nothing"))
  assert packed.rest is batch and not packed.places
  assert shared_blocks.new_block(packed.size) is None  # Nor is another one tried at once.


def test_blocks_end_with_those_that_use_them() -> None:
  def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))

  with row_processes.spread(row_makers.of_size, 1) as make:
    make(np.array(1000))
    before = open_files()
    for size in range(1001, 1050):  # Each has no room in the block of the one before.
      make(np.array(size))
    assert open_files() <= before
