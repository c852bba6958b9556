"""WebVid's tables and what is said in HowTo100M: clips, repairs, damaged files."""

import math
import pathlib
from typing import Any

import hypothesis
from hypothesis import strategies as st
import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations import howto100m
from mla_jax.data.annotations.schema import Count, Segment
from mla_jax.errors import UserError
from tests.data.annotations import layouts
from tests.data.annotations.layouts_pretraining import WEBVID, WEBVID_HEADER

_TRAIN = "results_10M_train.csv"
_RAW = "raw_caption.json"


def test_webvid(tmp_path: pathlib.Path) -> None:
  layouts.write("webvid_retrieval", tmp_path)
  read = annotations.read("webvid_retrieval", tmp_path)
  assert (read.family, read.task) == ("webvid", "retrieval")
  assert [(i.item_id, i.video_id, i.split, i.text) for i in read.items] == [
      ("train@21179416@0", "21179416", "train", "Aerial shot winter forest"),
      ("train@5629184@0", "5629184", "train", "Senior couple, looking"),
      ("train@1063125190@0", "1063125190", "train", "A beautiful cookie"),
      ("train@28755790@0", "28755790", "train", "Waves"),
      ("val@11111@0", "11111", "val", "A dog runs")]
  assert [item.duration for item in read.items[:3]] == [11.0, 89.0, 9.0]
  assert read.items[4].duration == 3619.0
  assert math.isnan(read.items[3].duration)
  assert read.videos[0].media_names == ("006001_006050/21179416", "21179416")
  assert Count("train rows", 5, 10_727_607) in read.counts
  assert Count("train videos", 4, None) in read.counts
  assert Count("val rows", 1, 5000) in read.counts
  assert read.notes == (
      f"{_TRAIN}: 1 rows have a duration of 0: taken as unknown",
      f"{_TRAIN}: 1 rows have no name: left out (2774)")


def test_the_smaller_webvid_is_read_where_it_is_alone(tmp_path: pathlib.Path) -> None:
  layouts.write("webvid_retrieval", tmp_path)
  table = WEBVID[_TRAIN].splitlines(keepends=True)
  layouts.write_files({"results_2M_train.csv": "".join(table[:3])}, tmp_path)
  read = annotations.read("webvid_retrieval", tmp_path)
  assert read.notes.count(f"results_2M_train.csv: not read, since {_TRAIN} is there") == 1
  assert Count("train rows", 5, 10_727_607) in read.counts
  (tmp_path / _TRAIN).unlink()
  assert Count("train rows", 2, None) in annotations.read("webvid_retrieval", tmp_path).counts


def test_a_webvid_row_twice_a_second_name_and_lines_in_a_name(tmp_path: pathlib.Path) -> None:
  rows = ("1,u,PT00H00M05S,p,a dog", "1,u,PT00H00M05S,p,a dog", "1,u,PT00H00M05S,p,a cat",
          '2,u,PT00H00M05S,p,"a\n  long\r\nname"')
  (tmp_path / _TRAIN).write_bytes((WEBVID_HEADER + "\n".join(rows)).encode())
  read = annotations.read("webvid_retrieval", tmp_path)
  assert [(i.item_id, i.text) for i in read.items] == [
      ("train@1@0", "a dog"), ("train@1@1", "a cat"), ("train@2@0", "a long name")]
  assert f"{_TRAIN}: 1 rows are there twice: left out (1)" in read.notes
  assert f"{_TRAIN}: 1 videos have a further name: a further text (1)" in read.notes


def test_a_webvid_video_of_two_splits_is_noted(tmp_path: pathlib.Path) -> None:
  layouts.write_files({
      _TRAIN: WEBVID_HEADER + "1,u,PT00H00M05S,p,a dog\n",
      "results_2M_val.csv": WEBVID_HEADER + "1,u,PT00H00M05S,p,a dog\n"}, tmp_path)
  read = annotations.read("webvid_retrieval", tmp_path)
  assert len(read.videos) == 1
  assert any(note.startswith("train shares 1 videos with val") for note in read.notes)


@pytest.mark.parametrize(("row", "message"), [
    ("1,u,PT00H00M05S,p", r"row 2: has too few columns \(4, not 5\)"),
    ("1,u,PT00H00M05S,p,a dog, then", r"row 2: has too many columns"),
    ('1,u,PT00H00M05S,p,"a dog', r"not a comma-separated table"),
    ('1,u,PT00H00M05S,p,"a\n2,u,PT00H00M05S,p,b\n"', r"a quote is not closed on its line"),
    ("../../etc/passwd,u,PT00H00M05S,p,a", r"row 2: 'videoid': id '../../etc/passwd' is not safe"),
    ("1,u,PT00H00M05S,../x,a", r"row 2: 'page_dir': id '../x' is not safe"),
    ("1,u,PT00H00M05S,a/b,a", r"'page_dir': id 'a/b' is not safe"),
    (",u,PT00H00M05S,p,a", r"'videoid': id '' is not safe"),
    ("1,u,nan,p,a", r"row 2: 'duration' is 'nan', not in the form PT00H01M05S"),
    ("1,u,-5,p,a", r"'duration' is '-5', not in the form"),
    ("1,u,,p,a", r"'duration' is '', not in the form"),
    ("1,u,PT00H00M05S,p,", r"has no text: get the file again"),
    ("1,u,PT00H00M05S,p,a\n1,u,PT00H00M05S,q,b", r"the folder of '1' is 'q' here and 'p' elsewh"),
    ("", r"has no text"),
])
def test_bad_webvid_rows(tmp_path: pathlib.Path, row: str, message: str) -> None:
  (tmp_path / _TRAIN).write_text(WEBVID_HEADER + row)
  with pytest.raises(UserError, match=message) as caught:
    annotations.read("webvid_retrieval", tmp_path)
  assert str(tmp_path / _TRAIN) in str(caught.value)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("header", "message"), [
    ("videoid,contentUrl,duration,page_dir", r"has no column 'name' in its first line"),
    ("contentUrl,duration,page_dir,name", r"has no column 'videoid'"),
    ("videoid\tcontentUrl\tduration\tpage_dir\tname", r"separated by tabs, not by commas"),
    ("videoid,name,duration,page_dir,name", r"column 'name' is there twice"),
    ("", r"has no column 'videoid'"),
])
def test_bad_webvid_headers(tmp_path: pathlib.Path, header: str, message: str) -> None:
  (tmp_path / _TRAIN).write_text(header)
  with pytest.raises(UserError, match=message):
    annotations.read("webvid_retrieval", tmp_path)


def test_howto100m_is_cut_into_clips(tmp_path: pathlib.Path) -> None:
  layouts.write("howto100m", tmp_path)
  read = annotations.read("howto100m", tmp_path)
  assert (read.family, read.task) == ("howto100m", "timed_captions")
  first, second, third, other = read.items
  assert (first.item_id, first.video_id, first.split) == (
      "nVbIUDjzWY4_0_32", "nVbIUDjzWY4_0_32", "train")
  assert first.text == "hello and welcome back today we are going to make"
  assert first.segments == (Segment(0, 22, 0.84, 6.0), Segment(23, 49, 5.1, 9.0))
  # The middle of 30 to 35.5 is in the second clip, which the line began before.
  assert (second.video_id, second.segments) == ("nVbIUDjzWY4_32_64", (Segment(0, 6, 0.0, 3.5),))
  assert (third.video_id, third.segments) == ("nVbIUDjzWY4_64_96", (Segment(0, 5, 6.5, 10.0),))
  assert other.video_id == "-abcdefghij_0_32"
  clip = read.videos[1]
  assert clip.source_names == ("nVbIUDjzWY4", "nVbIUDjzWY4.mp4", "nVbIUDjzWY4.webm")
  assert (clip.media_names, clip.source_span) == (("nVbIUDjzWY4_32_64",), (32.0, 64.0))
  assert Count("train videos", 3, 1_238_911) in read.counts
  assert Count("train lines", 6, None) in read.counts
  assert read.notes == (f"{_RAW}: 1 videos have no line: left out (silent_one0)",)


def test_sentences_are_read_rather_than_lines(tmp_path: pathlib.Path) -> None:
  layouts.write("howto100m", tmp_path)
  name = "sentencified_htm_370k.json"
  layouts.write_files({
      "caption.json": {}, name: {"v": {"start": [1], "end": [2], "text": ["Hi."]}}}, tmp_path)
  read = annotations.read("howto100m", tmp_path)
  assert [item.text for item in read.items] == ["Hi."]
  assert Count("train videos", 1, None) in read.counts
  assert read.notes == tuple(f"{other}: not read, since {name} is there"
                             for other in (_RAW, "caption.json"))


def test_what_speech_recognition_leaves_is_counted(tmp_path: pathlib.Path) -> None:
  record = {"start": [-1, 5, 7, 8, 9, 9], "end": [3, 5, 6, 9, 9.5, 10],
            "text": ["a", "b", "c", "", None, math.nan]}
  layouts.dump(tmp_path / _RAW, {"v": record})
  read = annotations.read("howto100m", tmp_path)
  assert [item.segments for item in read.items] == [(Segment(0, 1, 0.0, 3.0),)]
  assert read.notes == (
      f"{_RAW}: 1 lines had times outside [0, duration]: clipped",
      f"{_RAW}: 2 lines had an end that is not after their start: left out",
      f"{_RAW}: 3 lines have no text: left out")


_LINE: dict[str, Any] = {"start": [1.0], "end": [2.0], "text": ["a"]}


@pytest.mark.parametrize(("content", "message"), [
    ('{"v": {"start": [1', r"not JSON .* perhaps cut short"),
    ("", r"not JSON"),
    ("[]", r"the top level is \[\], not an object"),
    ("{}", r"has no line"),
    ('{"v": {}, "v": {}}', r"key 'v' is there twice"),
    ({"v": []}, r"'v' is \[\], not an object"),
    ({"v": {"start": [1], "end": [2]}}, r"'v': has no 'text', only \['start', 'end'\]"),
    ({"v": _LINE | {"text": "a"}}, r"'text' is 'a', not a list"),
    ({"v": _LINE | {"text": [5]}}, r"'text' 0 is 5, not text"),
    ({"v": _LINE | {"text": ["a", "b"]}}, r"1 starts, 1 ends and 2 texts"),
    ({"v": _LINE | {"start": [math.nan]}}, r"'start' 0 is nan, not a finite number"),
    ({"v": _LINE | {"end": [math.inf]}}, r"'end' 0 is inf, not a finite number"),
    ({"v": _LINE | {"end": ["2"]}}, r"'end' 0 is '2', not a finite number"),
    ({"v": _LINE | {"end": [0.5]}}, r"has no line"),
    ({"v": _LINE | {"text": [""]}}, r"has no line"),
    ({"../x": _LINE}, r"id '../x' is not safe"),
    ({"a/b": _LINE}, r"id 'a/b' is not safe"),
    ({"v" * 199: _LINE}, r"id 'vvv.* is not safe"),
    ({"v": _LINE | {"text": ["\ud800"]}}, r"not writable as UTF-8"),
])
def test_bad_howto100m_files(tmp_path: pathlib.Path, content: Any, message: str) -> None:
  layouts.write_files({_RAW: content}, tmp_path)
  with pytest.raises(UserError, match=message) as caught:
    annotations.read("howto100m", tmp_path)
  assert str(tmp_path) in str(caught.value)
  assert "\n" not in str(caught.value)


_TIME = st.floats(0, 1e6)


@hypothesis.given(st.lists(st.tuples(_TIME, st.floats(0.01, 100)), min_size=1, max_size=12))
def test_every_line_is_in_one_clip_at_its_own_time(
    lines: list[tuple[float, float]]
) -> None:
  spoken = [(f"line{number}", start, start + length)
            for number, (start, length) in enumerate(lines) if start + length > start]
  found = list(howto100m._clips("v", spoken))
  texts = [item.text[s.start:s.end] for item, _ in found for s in item.segments]
  assert sorted(texts) == sorted(text for text, _, _ in spoken)
  times = {text: (start, end) for text, start, end in spoken}
  for item, clip in found:
    low, high = clip.source_span
    assert high - low == howto100m.CLIP_SECONDS
    for segment in item.segments:
      start, end = times[item.text[segment.start : segment.end]]
      assert low <= (start + end) / 2 <= high
      assert 0 <= segment.start_time <= segment.end_time <= howto100m.CLIP_SECONDS
      assert segment.start_time + low == pytest.approx(max(start, low))
      assert segment.end_time + low == pytest.approx(min(end, high))
