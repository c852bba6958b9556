"""Finding media by name, and feature files."""

import pathlib

import numpy as np
import pytest

from mla_jax.data import media as media_lib
from mla_jax.data.annotations.schema import Video
from mla_jax.data.media import (
  FEATURES,
  FRAMES,
  VIDEO,
  BrokenMedia,
  Media,
  MediaFile,
  MediaSettings,
  find_media,
  read_media,
)
from mla_jax.errors import UserError


def _videos(*names: str) -> list[Video]:
  return [Video(name, (name,)) for name in names]


def _touch(directory: pathlib.Path, *names: str) -> pathlib.Path:
  for name in names:
    (directory / name).touch()
  return directory


def test_videos_are_found_by_any_of_their_names(tmp_path: pathlib.Path) -> None:
  _touch(tmp_path, "a.mp4", "b.x.AVI", "other.mp4", "notes.txt", "c.json")
  videos = [*_videos("a", "b.x", "c"), Video("vid7", ("vid7", "other"))]
  found = find_media(tmp_path, videos)
  assert found.source == VIDEO
  assert {i: file.path for i, file in found.files.items()} == {
    "a": str(tmp_path / "a.mp4"),
    "b.x": str(tmp_path / "b.x.AVI"),
    "vid7": str(tmp_path / "other.mp4"),
  }
  assert list(found.missing) == ["c"]
  assert "c.*" in found.missing["c"]


def test_folders_and_feature_files_are_found(tmp_path: pathlib.Path) -> None:
  (tmp_path / "frames" / "video1").mkdir(parents=True)
  assert find_media(tmp_path / "frames", _videos("video1")).source == FRAMES
  _touch(tmp_path, "video1.npy")
  assert find_media(tmp_path, _videos("video1")).source == FEATURES


def test_names_never_become_paths(tmp_path: pathlib.Path) -> None:
  (tmp_path / "media").mkdir()
  _touch(tmp_path, "secret.npy")
  _touch(tmp_path / "media", "a.npy")
  found = find_media(tmp_path / "media", _videos("a", "../secret", str(tmp_path / "secret")))
  assert list(found.files) == ["a"]
  assert len(found.missing) == 2


@pytest.mark.parametrize(
  ("files", "message"),
  [
    (["x.mp4"], "none of the 2 videos found"),
    (["a.mp4", "a.avi"], "video 'a': a.avi and a.mp4 both match"),
    (["a.mp4", "b.npy"], "different kinds of media"),
  ],
)
def test_unclear_folders_are_refused(
  tmp_path: pathlib.Path, files: list[str], message: str
) -> None:
  with pytest.raises(UserError, match=message):
    find_media(_touch(tmp_path, *files), _videos("a", "b"))


def test_a_folder_that_is_not_there_is_refused(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match="nowhere: cannot be listed"):
    find_media(tmp_path / "nowhere", _videos("a"))


def _features(path: pathlib.Path, values: np.ndarray, **settings: float) -> Media:
  np.save(path, values)
  width = int(settings.pop("feature_width", 4))
  rate = settings.pop("frame_rate", 1.0)
  return read_media(
    MediaFile(FEATURES, str(path)),
    MediaSettings(rate, feature_width=width, max_frames=int(settings.pop("max_frames", 0))),
  )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_features_are_stored_as_float16(tmp_path: pathlib.Path, dtype: type) -> None:
  values = np.arange(12, dtype=dtype).reshape(3, 4) / 8
  media = _features(tmp_path / "a.npy", values, frame_rate=2.0)
  assert isinstance(media.payload, np.ndarray)
  assert media.payload.dtype == np.float16
  np.testing.assert_array_equal(media.payload, values)
  assert media.time.tolist() == [0, 0.5, 1]
  assert media.duration == 1.5


def _with(value: float) -> np.ndarray:
  values = np.zeros((3, 4), np.float32)
  values[1, 2] = value
  return values


@pytest.mark.parametrize(
  ("values", "reason"),
  [
    (np.zeros((3, 5), np.float16), "width 5, the others have 4"),
    (np.zeros((0, 4), np.float16), "no frames"),
    (np.zeros(4, np.float16), "not a 2-D array of floats"),
    (np.zeros((3, 4), np.int64), "not a 2-D array of floats"),
    (np.full((3, 4), None), "not a readable .npy file"),  # Objects: a pickle, never loaded.
    (_with(np.nan), "NaN or infinity"),
    (_with(-np.inf), "NaN or infinity"),
    (_with(1e5), "beyond float16"),
  ],
)
def test_feature_files_that_are_of_no_use(
  tmp_path: pathlib.Path, values: np.ndarray, reason: str
) -> None:
  with pytest.raises(BrokenMedia, match=reason):
    _features(tmp_path / "a.npy", values)


@pytest.mark.parametrize("content", [b"", b"no numpy", b"PK\x03\x04 no archive", None])
def test_damaged_feature_files(tmp_path: pathlib.Path, content: bytes | None) -> None:
  path = tmp_path / "a.npy"
  np.save(path, np.zeros((3, 4), np.float16))
  path.write_bytes(path.read_bytes()[:-2] if content is None else content)
  with pytest.raises(BrokenMedia, match=r"not a readable .npy file"):
    read_media(MediaFile(FEATURES, str(path)), MediaSettings(1.0, feature_width=4))


def test_the_common_width_is_the_right_one(tmp_path: pathlib.Path) -> None:
  files = []
  for i, width in enumerate([7, 4, 4, 5, 4]):
    path = tmp_path / f"{i}.npy"
    np.save(path, np.zeros((2, width), np.float16))
    files.append(MediaFile(FEATURES, str(path)))
  assert media_lib.common_feature_width(files) == 4
  (tmp_path / "0.npy").write_bytes(b"")
  with pytest.raises(UserError, match="none can be read"):
    media_lib.common_feature_width(files[:1])


@pytest.mark.parametrize(
  ("count", "most", "kept"),
  [
    (6, 0, [0, 1, 2, 3, 4, 5]),
    (6, 6, [0, 1, 2, 3, 4, 5]),
    (6, 3, [1, 3, 5]),
    (6, 1, [3]),
    (5, 4, [0, 1, 3, 4]),
  ],
)
def test_thinning_takes_the_middle_of_equal_shares(count: int, most: int, kept: list[int]) -> None:
  whole = Media(
    float(count), np.arange(count, dtype=np.float32), [bytes([i]) for i in range(count)]
  )
  thin = media_lib.thin(whole, most)
  assert [frame[0] for frame in thin.payload] == kept
  assert thin.time.tolist() == kept
  assert thin.duration == count
