"""What every reader promises of what it returns, whatever was in the files."""

import math
import pathlib

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Annotations, TextItem
from mla_jax.errors import UserError


def assert_valid(read: Annotations) -> None:
  videos = [video.video_id for video in read.videos]
  assert len(set(videos)) == len(videos)
  assert len({item.item_id for item in read.items}) == len(read.items) > 0
  assert {item.video_id for item in read.items} <= set(videos)
  for item in read.items:
    _assert_valid_text(item)
    _assert_valid_answer(item)
    # NExT-GQA's official evaluation clips none of its moments.
    _assert_valid_times(item, inside=read.task != "gqa")
  for name in (*videos, *(item.item_id for item in read.items)):
    assert "/" not in name
    assert ".." not in name
  for video in read.videos:
    assert video.media_names
    for name in (*video.media_names, *video.source_names):
      assert not name.startswith("/")
      assert ".." not in name
    assert 0 <= video.source_span[0] < video.source_span[1]
  assert all("\n" not in note for note in read.notes)
  assert all(count.found >= 0 for count in read.counts)
  assert "\n" not in read.licence


def _assert_valid_text(item: TextItem) -> None:
  assert item.text == item.text.strip()
  assert item.text or item.candidates
  for text in (item.text, item.answer, *item.candidates, *item.references):
    text.encode()
  assert item.split.replace("_", "").isalnum()
  edges = [edge for segment in item.segments for edge in (segment.start, segment.end)]
  assert edges == sorted(edges)
  assert all(item.text[s.start:s.end].strip() for s in item.segments)
  assert not any(s.end_time <= s.start_time for s in item.segments)


def _assert_valid_answer(item: TextItem) -> None:
  assert -1 <= item.count <= 10
  assert all(text.strip() == text != "" for text in (*item.candidates, *item.references))
  if item.answer_index >= 0:
    assert item.candidates[item.answer_index] == item.answer
  else:
    assert item.answer_index == -1
    assert not item.candidates or not item.answer


def _assert_valid_times(item: TextItem, *, inside: bool) -> None:
  assert math.isnan(item.duration) or 0 < item.duration < 1e15
  for start, end in item.moments:
    assert -1e15 < start < end < 1e15
    if inside:
      assert start >= 0
      assert not end > item.duration
  clips = [row[0] for row in item.saliency]
  assert len(set(clips)) == len(clips)
  for clip, *scores in item.saliency:
    assert 0 <= 2 * clip < item.duration
    assert all(0 <= score <= 4 for score in scores)
  for line in item.subtitles:
    assert line.text.strip()
    assert -1e15 < line.start <= line.end < 1e15


def read_or_user_error(dataset: str, directory: pathlib.Path) -> Annotations | None:
  """What was read, checked; None where one clear line says why not."""
  try:
    read = annotations.read(dataset, directory)
  except UserError as error:
    message = str(error)
  else:
    assert_valid(read)
    return read
  assert "\n" not in message
  assert str(directory) in message
  assert len(message) < 1000
  message.encode()
  return None
