"""verify: whole datasets pass, and any damage is found and named."""

import contextlib
import math
import pathlib
import shutil

import numpy as np
import pytest

from mla_jax.data import record_format, verify_dataset
from mla_jax.data.annotations.schema import Segment
from mla_jax.data.media import Media
from mla_jax.data.record_format import TextRecord
from mla_jax.errors import UserError
from tests import tiny
from tests.data import video_files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return tiny.prepare(tmp_path_factory.mktemp("whole"), videos=12) / "msrvtt"


@pytest.fixture
def prepared(whole: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
  shutil.copytree(whole, tmp_path / "msrvtt")
  return tmp_path / "msrvtt"


def _verify(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
  capsys.readouterr()
  with contextlib.suppress(UserError):
    verify_dataset.verify(folder)
  return capsys.readouterr().out.splitlines()


def test_whole_datasets_are_ok(prepared: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
  lines = _verify(prepared, capsys)
  assert [line.split(":")[0].split() for line in lines] == [
    ["ok", str(prepared / name)] for name in ("media", "qa", "retrieval", "timed_captions")
  ]
  assert "12 videos, 63 features of width 16" in lines[0]
  assert "36 texts in train (27), validate (9)" in lines[2]


def _change_a_byte(path: pathlib.Path) -> None:
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


@pytest.mark.parametrize(
  "name",
  [
    "media/msrvtt_media-videos.array_record-00000",
    "media/video_ids.txt",
    "media/dataset_info.json",
    "media/manifest.json",
    "retrieval/msrvtt_retrieval-train.array_record-00000",
    "retrieval/validate.media_index.npy",
    "retrieval/tokenizer.model",
    "qa/answers.json",
  ],
)
@pytest.mark.parametrize("damage", ["byte", "end", "gone"])
def test_any_damage_is_found(
  prepared: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
  path = prepared / name
  if damage == "byte":
    _change_a_byte(path)
  elif damage == "end":
    path.write_bytes(path.read_bytes()[:-9])
  else:
    path.unlink()
  with pytest.raises(UserError, match="of 4 datasets damaged"):
    verify_dataset.verify(prepared)
  damaged = [line for line in capsys.readouterr().out.splitlines() if line.startswith("DAMAGED")]
  assert str(path) in damaged[0] or path.name == record_format.MANIFEST
  assert any(line.startswith(f"DAMAGED  {path.parent}") for line in damaged)


def test_texts_without_their_media_are_found(
  prepared: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  shutil.rmtree(prepared / "media")
  lines = _verify(prepared, capsys)
  assert len(lines) == 3
  assert all("points to media record 0 of 0" in line for line in lines)


_JPEGS = [video_files.jpeg(9), video_files.jpeg(99)]


@pytest.mark.parametrize(
  ("media", "reason"),
  [
    (Media(2, np.arange(2), _JPEGS), ""),
    (Media(2, np.arange(2), np.ones((2, 3), np.float16)), ""),
    (Media(2, np.arange(0), []), "0 times for 0 frames"),
    (Media(2, np.arange(3), _JPEGS), "3 times for 2 frames"),
    (Media(2, np.array([1, 1]), _JPEGS), "times do not increase"),
    (Media(2, np.array([-1, 1]), _JPEGS), "times do not increase"),
    (Media(2, np.array([0, math.nan]), _JPEGS), "times do not increase"),
    (Media(0.5, np.arange(2), _JPEGS), "the last frame, at 1 s, is after its end"),
    (Media(math.nan, np.arange(2), _JPEGS), "the last frame, at 1 s, is after its end"),
    (Media(2, np.arange(2), [_JPEGS[0], _JPEGS[1][:-40]]), "a frame is no JPEG"),
    (Media(2, np.arange(2), [_JPEGS[0], b""]), "a frame is no JPEG"),
    (Media(2, np.arange(2), [_JPEGS[0], video_files.jpeg(9, (8, 8))]), "frames of several sizes"),
    (Media(2, np.arange(2), np.full((2, 3), np.inf, np.float16)), "NaN or infinity"),
  ],
)
def test_damage_of_a_media_record(media: Media, reason: str) -> None:
  found = verify_dataset._media_damage(media)
  assert found.startswith(reason) and bool(found) == bool(reason)


@pytest.mark.parametrize(
  ("record", "reason"),
  [
    (TextRecord("i", "v", 1, "a b", (Segment(0, 1), Segment(2, 3))), ""),
    (TextRecord("i", "w", 1, "a b"), "of w at 1, listed as of v at 1"),
    (TextRecord("i", "v", 0, "a b"), "of v at 0, listed as of v at 1"),
    (TextRecord("i", "v", 1, ""), "no text"),
    (TextRecord("i", "v", 1, "a b", (Segment(2, 4),)), "a segment is outside its text"),
    (TextRecord("i", "v", 1, "a b", (Segment(1, 1),)), "a segment is outside its text"),
    (TextRecord("i", "v", 1, "", candidates=("a", "b"), answer="b", answer_index=1), ""),
    (TextRecord("i", "v", 1, "a b", candidates=("a", "b")), ""),
    (TextRecord("i", "v", 1, "a b", candidates=("a", "b"), answer="a", answer_index=1),
     "its answer is not candidate 1 of 2"),
    (TextRecord("i", "v", 1, "a b", candidates=("a",), answer="a", answer_index=1),
     "its answer is not candidate 1 of 1"),
    (TextRecord("i", "v", 1, "a b", moments=((0.0, 2.0), (3.0, 3.0))), "a moment is no span"),
  ],
)
def test_damage_of_a_text_record(record: TextRecord, reason: str) -> None:
  found = verify_dataset._text_damage(record, 1, "v", ["u", "v"])
  assert found.startswith(reason) and bool(found) == bool(reason)


def test_a_text_of_another_videos_media() -> None:
  record = TextRecord("i", "v", 0, "a b")
  found = verify_dataset._text_damage(record, 0, "v", ["u", "v"])
  assert found == "of v, points to the media of u"


def test_an_unfinished_folder_is_not_ok(
  prepared: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  shard = next((prepared / "media").glob("*-00000"))
  shutil.copy(shard, shard.with_name(shard.name[:-1] + "1"))
  assert "1 more shards wait" in _verify(prepared, capsys)[0]
  (prepared / "media" / record_format.MANIFEST).unlink()
  assert _verify(prepared, capsys)[0].startswith(
    f"DAMAGED  {prepared / 'media'}: no prepared dataset"
  )
  with pytest.raises(UserError, match="no prepared dataset in it"):
    verify_dataset.verify(prepared / "nowhere")
