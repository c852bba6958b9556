"""The written dataset: complete, reproducible, resumable, and readable as a user's own."""

import hashlib
import json
import pathlib

import pytest

from mla_jax.data import annotations
from mla_jax.data.demo import write
from mla_jax.errors import UserError


def render(out: pathlib.Path, **changes: int) -> None:
  write.write_demo(out, **({"train": 5, "test": 3, "seed": 0, "workers": 1} | changes))


def content(out: pathlib.Path) -> dict[str, str]:
  files = sorted(path for path in out.rglob("*") if path.is_file())
  return {str(f.relative_to(out)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  out = tmp_path_factory.mktemp("demo") / "raw"
  render(out)
  return out


def test_everything_is_there(demo: pathlib.Path) -> None:
  names = set(content(demo))
  videos = {f"videos/train_{i:05d}.mp4" for i in range(5)}
  videos |= {f"videos/test_{i:05d}.mp4" for i in range(3)}
  assert names == videos | {"captions.json", "questions.json", "segments.json", "settings.json"}


def test_cut_short_and_started_again_it_ends_with_the_same_bytes(
    demo: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  out = tmp_path / "raw"
  render(out, workers=2)
  assert content(out) == content(demo)
  for name in ("videos/train_00001.mp4", "videos/test_00002.mp4", "segments.json"):
    (out / name).unlink()
  (out / "videos/train_00001.mp4.part").write_bytes(b"half")
  render(out)
  assert content(out) == content(demo)


def test_a_finished_folder_is_left_as_it_is(demo: pathlib.Path) -> None:
  before = {path: path.stat().st_mtime_ns for path in demo.rglob("*")}
  render(demo)
  assert {path: path.stat().st_mtime_ns for path in demo.rglob("*")} == before


@pytest.mark.parametrize("change", [{"seed": 1}, {"train": 6}, {"test": 2}])
def test_a_demo_of_other_settings_is_not_overwritten(
    demo: pathlib.Path, change: dict[str, int]
) -> None:
  before = content(demo)
  with pytest.raises(UserError, match="other settings"):
    render(demo, **change)
  assert content(demo) == before


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: pathlib.Path) -> None:
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match="cannot be written"):
    render(tmp_path / "file" / "raw")


def test_the_readers_find_every_text(demo: pathlib.Path) -> None:
  retrieval = annotations.read("demo_retrieval", demo)
  assert (retrieval.family, retrieval.task) == ("demo", "retrieval")
  assert [item.split for item in retrieval.items] == ["train"] * 10 + ["test"] * 3
  assert len(retrieval.videos) == 8
  for video in retrieval.videos:
    assert (demo / "videos" / f"{video.media_names[0]}.mp4").exists()
  qa = annotations.read("demo_qa", demo)
  assert (qa.family, qa.task, len(qa.items)) == ("demo", "qa", 52)
  assert all(item.answer and item.question_type for item in qa.items)
  timed = annotations.read("demo_timed_captions", demo)
  assert (timed.family, timed.task) == ("demo", "timed_captions")
  assert [item.split for item in timed.items] == ["train"] * 5 + ["test"] * 3
  captions = {item.text for item in retrieval.items}
  for item in timed.items:
    assert item.text in captions
    assert [part.end_time - part.start_time for part in item.segments] == [2.0] * len(item.segments)
    assert " ".join(item.text[part.start : part.end] for part in item.segments) == item.text


def test_test_captions_are_distinct(tmp_path: pathlib.Path) -> None:
  clips = list(write._clips(0, 300, 0))
  assert len({clip.descriptions[0] for clip in clips}) == 300
  assert len({json.dumps(clip.scene.story()) for clip in clips}) == 300
