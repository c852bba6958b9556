"""Charades-STA and QVHighlights: windows, lengths, saliency, cuts of longer videos."""

import math
import pathlib
from typing import Any

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations import moments
from mla_jax.data.annotations.cuts import cut_video
from mla_jax.data.annotations.schema import Count, Segment, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError
from tests.data.annotations import layouts
from tests.data.annotations.layouts_moments import CHARADES_COLUMNS, query

_TRAIN = "charades_sta_train.txt"


def test_charades(tmp_path: pathlib.Path) -> None:
  layouts.write("charades_sta", tmp_path)
  read = annotations.read("charades_sta", tmp_path)
  assert (read.family, read.task) == ("charades", "localisation")
  first, second, test = read.items
  assert (first.item_id, first.video_id) == ("train@1", "AO8RW")
  assert first.text == "a person is putting a book on a shelf."
  assert (first.moments, first.duration) == (((0.0, 6.9),), 33.67)
  assert first.segments == (Segment(0, 38, 0.0, 6.9),)
  assert (second.moments, second.duration) == (((20.8, 30.5),), 30.5)
  assert (test.split, test.moments) == ("test", ((24.3, 30.4),))
  assert [video.video_id for video in read.videos] == ["AO8RW", "Y6R7T", "LEOL6", "3MSZA"]
  assert Count("train lines", 3, 12408) in read.counts
  assert Count("train queries", 2, None) in read.counts
  assert read.notes == (
      f"{_TRAIN}: 1 queries had times outside [0, duration]: clipped",
      f"{_TRAIN}: 1 queries had an end that is not after their start: left out "
      "(line 3: LEOL6 8-7)")


def test_charades_without_lengths(tmp_path: pathlib.Path) -> None:
  layouts.write("charades_sta", tmp_path)
  (tmp_path / "Charades_v1_train.csv").unlink()
  read = annotations.read("charades_sta", tmp_path)
  assert read.items[1].moments == ((20.8, 31.0),)
  assert math.isnan(read.items[1].duration)
  assert ("Charades_v1_train.csv: not there: the lengths of train's videos are unknown, windows "
          "are not clipped" in read.notes)
  (tmp_path / "Charades_v1_test.csv").write_text(f"{CHARADES_COLUMNS}X,1,2,3,4,5,6,7,8,9,3.0\n")
  notes = annotations.read("charades_sta", tmp_path).notes
  assert ("charades_sta_test.txt: 1 queries are of a video without a length: times as they are"
          in notes)


@pytest.mark.parametrize(("line", "message"), [
    ("3MSZA 24.3 30.4 person turns", r"line 2 is '3MSZA 24.3 30.4 person turns', not 'VIDEO START"),
    ("3MSZA 24.3 30.4##", r"line 2: the sentence is empty"),
    ("3MSZA nan 30.4##person", r"line 2: the start is 'nan', not a number of seconds"),
    ("3MSZA 24.3 inf##person", r"line 2: the end is 'inf', not a number of seconds"),
    ("3MSZA,24.3,30.4##person", r"line 2 is '3MSZA,24.3,30.4##person', not"),
    ("a/b 24.3 30.4##person", r"id 'a/b' is not safe"),
    ("AO8RW 0.0 6.9##a person is putting a book on a shelf.", r"line 2: line 'AO8RW 0.0 .* twice"),
    ("AO8RW 0 6.90##a person is putting a book on a shelf.", r"line 2: line 'AO8RW 0.0 .* twice"),
])
def test_bad_charades_lines(tmp_path: pathlib.Path, line: str, message: str) -> None:
  (tmp_path / _TRAIN).write_text(
      f"AO8RW 0.0 6.9##a person is putting a book on a shelf.\n{line}\n")
  with pytest.raises(UserError, match=message):
    annotations.read("charades_sta", tmp_path)


@pytest.mark.parametrize(("row", "message"), [
    ("AO8RW,1,2,3,4,5,6,7,8,9,long", r"'length' is 'long', not a number of seconds"),
    ("AO8RW,1,2,3,4,5,6,7,8,9,0", r"'length' is 0, not above 0"),
    ("AO8RW,1,2,3,4,5,6,7,8,9,-3", r"'length' is -3, not above 0"),
    ("AO8RW,1,2,3,4,5,6,7,8,9", r"row 2: has too few columns"),
    ("AO8RW,1,2,3,4,5,6,7,8,9,3\nAO8RW,1,2,3,4,5,6,7,8,9,4", r"video 'AO8RW' is there twice"),
    ("AO8RW,1,2,3,4,5,\"6\n7\",7,8,9,3", r"a quote is not closed on its line"),
])
def test_bad_charades_lengths(tmp_path: pathlib.Path, row: str, message: str) -> None:
  layouts.write("charades_sta", tmp_path)
  (tmp_path / "Charades_v1_train.csv").write_text(f"{CHARADES_COLUMNS}{row}\n")
  with pytest.raises(UserError, match=message):
    annotations.read("charades_sta", tmp_path)


def test_a_split_without_a_usable_line(tmp_path: pathlib.Path) -> None:
  (tmp_path / _TRAIN).write_text("LEOL6 8.0 7.0##person is holding medicine.\n")
  with pytest.raises(UserError, match="split train has no query"):
    annotations.read("charades_sta", tmp_path)


def test_qvhighlights(tmp_path: pathlib.Path) -> None:
  layouts.write("qvhighlights", tmp_path)
  read = annotations.read("qvhighlights", tmp_path)
  assert (read.family, read.task) == ("qvhighlights", "localisation")
  several, _, single, test = read.items
  assert (several.item_id, several.moments) == ("train@1", ((70.0, 74.0), (80.0, 82.0)))
  assert several.segments == ()
  assert several.saliency == ((35, 0, 3, 2), (36, 3, 4, 3), (40, 4, 4, 4))
  assert single.segments == (Segment(0, len(single.text), 70.0, 76.0),)
  assert (test.split, test.duration) == ("test", 148.0)
  assert read.videos[0] == Video(
      "_6hnl_BrFvs_360.0_510.0", ("_6hnl_BrFvs_360.0_510.0",), ("_6hnl_BrFvs",), (360.0, 510.0))
  assert "CC BY-NC-SA" in read.licence
  assert Count("val queries", 1, 1550) in read.counts


def test_test_queries_may_be_without_labels(tmp_path: pathlib.Path) -> None:
  bare = {key: query(4)[key] for key in ("qid", "query", "vid", "duration")}
  layouts.write_files({"highlight_test_release.jsonl": [bare]}, tmp_path)
  read = annotations.read("qvhighlights", tmp_path)
  assert (read.items[0].moments, read.items[0].saliency) == ((), ())
  assert "highlight_test_release.jsonl: 1 queries have no labels" in read.notes
  layouts.write_files({"highlight_val_release.jsonl": [bare]}, tmp_path)
  with pytest.raises(UserError, match="has no 'relevant_windows'"):
    annotations.read("qvhighlights", tmp_path)


@pytest.mark.parametrize(("windows", "moments", "note"), [
    ([[70, 160]], ((70.0, 150.0),), "1 windows had times outside [0, duration]: clipped"),
    ([[-2, 4]], ((0.0, 4.0),), "1 windows had times outside [0, duration]: clipped"),
    ([[70, 74], [150, 160]], ((70.0, 74.0),),
     "1 windows lay wholly outside the video: left out (val@1 150-160)"),
    ([[70, 74], [-5, -2]], ((70.0, 74.0),),
     "1 windows lay wholly outside the video: left out (val@1 -5--2)"),
    ([[70, 74], [160, 155]], ((70.0, 74.0),),
     "1 windows had an end that is not after their start: left out (val@1 160-155)"),
    ([[8, 6], [70, 74]], ((70.0, 74.0),),
     "1 windows had an end that is not after their start: left out (val@1 8-6)"),
])
def test_windows_beyond_the_video(
    tmp_path: pathlib.Path, windows: Any, moments: Any, note: str
) -> None:
  layouts.write_files(
      {"highlight_val_release.jsonl": [query(1, relevant_windows=windows)]}, tmp_path)
  read = annotations.read("qvhighlights", tmp_path)
  assert read.items[0].moments == moments
  assert f"highlight_val_release.jsonl: {note}" in read.notes


@pytest.mark.parametrize(("over", "notes"), [
    (1e-14, 0), (9e-7, 0), (2e-6, 1), (0.01, 1),
])
def test_the_noise_of_floats_is_clipped_and_is_no_repair(over: float, notes: int) -> None:
  tally = Tally(pathlib.Path("x.json"))
  window = moments.clip_window((-over, 9.57 + over), 9.57, tally, what="windows", otherwise="out")
  assert window == (0.0, 9.57)
  assert len(tally.notes()) == notes


@pytest.mark.parametrize(("change", "message"), [
    ({"relevant_windows": []}, r"line 1: has no window in its video"),
    ({"relevant_windows": [[200, 210]]}, r"line 1: has no window in its video"),
    ({"relevant_windows": [[1, 2, 3]]}, r"are \[1, 2, 3\], not \[start, end\]"),
    ({"relevant_windows": [[1, float("nan")]]}, r"is nan, not a finite number"),
    ({"relevant_windows": None}, r"'relevant_windows' is None, not a list"),
    ({"saliency_scores": [[1, 2, 3]]}, r"3 clips and 1 scores"),
    ({"saliency_scores": [[0, 3, 2], [3, 4], [4, 4, 4]]}, r"are \[3, 4\], not three scores once"),
    ({"saliency_scores": [[0, 3, 2], [3, 4, 5], [4, 4, 4]]}, r"are \[3, 4, 5\], not 0 to 4"),
    ({"saliency_scores": [[0, 3, 2], [3, 4, "4"], [4, 4, 4]]}, r"is '4', not a whole number"),
    ({"relevant_clip_ids": [35, 36, 75]}, r"clip 75 is outside the video's 150 s"),
    ({"relevant_clip_ids": [35, 36, -1]}, r"clip -1 is outside the video's 150 s"),
    ({"relevant_clip_ids": [35, 36, 36]}, r"clip 36 are \[4, 4, 4\], not three scores once"),
    ({"duration": 0}, r"'duration' is 0, not above 0"),
    ({"duration": "150"}, r"'duration' is '150', not a finite number"),
    ({"qid": "1"}, r"'qid' is '1', not a whole number"),
    ({"vid": "a/b"}, r"id 'a/b' is not safe"),
    ({"query": " "}, r"'query' is empty"),
])
def test_bad_queries(tmp_path: pathlib.Path, change: dict[str, Any], message: str) -> None:
  layouts.write_files({"highlight_val_release.jsonl": [query(1, **change)]}, tmp_path)
  with pytest.raises(UserError, match=message):
    annotations.read("qvhighlights", tmp_path)


def test_queries_that_contradict_each_other(tmp_path: pathlib.Path) -> None:
  layouts.write_files({"highlight_val_release.jsonl": [query(1), query(1)]}, tmp_path)
  with pytest.raises(UserError, match="query 'val@1' is there twice"):
    annotations.read("qvhighlights", tmp_path)
  layouts.write_files({"highlight_val_release.jsonl": [query(1), query(2, duration=148)]}, tmp_path)
  with pytest.raises(UserError, match=r"the duration of '_6hnl_.*' is 148.0 here and 150.0"):
    annotations.read("qvhighlights", tmp_path)


@pytest.mark.parametrize(("name", "source", "span"), [
    ("inUvyZl_hjA_180_240", "inUvyZl_hjA", (180.0, 240.0)),
    ("G9zN5TTuGO4_000179_000189", "G9zN5TTuGO4", (179.0, 189.0)),
    ("_6hnl_BrFvs_360.0_510.0", "_6hnl_BrFvs", (360.0, 510.0)),
    ("a_b_1_2", "a_b", (1.0, 2.0)),
])
def test_cuts(name: str, source: str, span: tuple[float, float]) -> None:
  assert cut_video(name) == Video(name, (name,), (source,), span)


@pytest.mark.parametrize("name", ["abc", "a_5_5", "a_9_3", "1_2", "a_1_x"])
def test_names_that_are_no_cuts(name: str) -> None:
  assert cut_video(name) == Video(name, (name,))
