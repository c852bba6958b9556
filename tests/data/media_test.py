"""Finding media by name, and feature files."""

import pathlib

import numpy as np
import pytest

from mla_jax.data import frames
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


def test_names_in_subfolders_are_found(tmp_path: pathlib.Path) -> None:
  for folder in ("0101", "0016", "a"):
    (tmp_path / folder).mkdir()
  _touch(tmp_path / "0101", "7.mp4", "8.mp4")
  _touch(tmp_path, "9.mp4", "secret.mp4")
  videos = [
    Video("7", ("7", "0101/7")),
    Video("9", ("9", "0101/9")),
    Video("8", ("8", "0016/8")),
    Video("x", ("../secret", "a/../secret", "/0101/8", "0101/../9")),
  ]
  found = find_media(tmp_path, videos)
  assert {i: file.path for i, file in found.files.items()} == {
    "7": str(tmp_path / "0101" / "7.mp4"),
    "9": str(tmp_path / "9.mp4"),
  }
  assert list(found.missing) == ["8", "x"]


def test_files_without_a_known_suffix_count_under_their_whole_name(tmp_path: pathlib.Path) -> None:
  _touch(tmp_path, "1@N0_a.", "2@N0_b.null", "3@N0_c", "4.mp4", "4")
  videos = [Video(n, (n.split(".")[0], n)) for n in ("1@N0_a.", "2@N0_b.null", "3@N0_c", "4")]
  found = find_media(tmp_path, videos)
  assert {i: pathlib.Path(file.path).name for i, file in found.files.items()} == {
    "1@N0_a.": "1@N0_a.", "2@N0_b.null": "2@N0_b.null", "3@N0_c": "3@N0_c", "4": "4.mp4",
  }  # fmt: skip
  assert {file.source for file in found.files.values()} == {VIDEO}


def test_a_video_of_its_own_is_preferred_to_a_cut(tmp_path: pathlib.Path) -> None:
  _touch(tmp_path, "a_10_20.mp4", "a.mp4", "long.mp4")
  videos = [
    Video("a_10_20", ("a_10_20",), ("a",), (10.0, 20.0)),
    Video("a_20_30", ("a_20_30",), ("a",), (20.0, 30.0)),
    Video("long", ("long",), max_duration=30.0),
  ]
  found = find_media(tmp_path, videos).files
  assert found["a_10_20"] == MediaFile(VIDEO, str(tmp_path / "a_10_20.mp4"))
  assert found["a_20_30"] == MediaFile(VIDEO, str(tmp_path / "a.mp4"), 20.0, 30.0)
  assert found["long"] == MediaFile(VIDEO, str(tmp_path / "long.mp4"), 0.0, 30.0)


def _numbered(count: int, rate: float = 1.0) -> Media:
  time = (np.arange(count) / rate).astype(np.float32)
  return Media(count / rate, time, np.arange(count, dtype=np.float16)[:, None])


@pytest.mark.parametrize(
  ("span", "rows", "times", "duration"),
  [
    ((0, np.inf), range(10), range(10), 10),
    ((0, 30), range(10), range(10), 10),
    ((0, 3), [0, 1, 2], [0, 1, 2], 3),
    ((2, 5), [2, 3, 4], [0, 1, 2], 3),
    ((2.5, 5), [2, 3, 4], [0, 0.5, 1.5], 2.5),  # Row 2 is shown until 3.
    ((2.25, 2.5), [2], [0], 0.25),
    ((8, 30), [8, 9], [0, 1], 2),
  ],
)
def test_a_cut_begins_at_zero(
  span: tuple[float, float], rows: list[int], times: list[float], duration: float
) -> None:
  found = media_lib.cut(_numbered(10), *span)
  np.testing.assert_array_equal(found.payload[:, 0], list(rows))
  np.testing.assert_allclose(found.time, list(times))
  assert found.time.dtype == np.float32
  assert found.duration == duration


@pytest.mark.parametrize(
  ("rate", "start"), [(3.0, 333.333333), (3.0, 333.666667), (30.0, 1.033333), (1.0, 333.0)]
)
def test_a_cut_at_a_rounded_second_has_one_frame_at_zero(rate: float, start: float) -> None:
  found = media_lib.cut(_numbered(1200, rate), start, start + 6.0)
  assert found.time[0] == 0 and (np.diff(found.time) > 0).all()


@pytest.mark.parametrize("span", [(10, 20), (30, 40)])
def test_a_cut_after_the_end_is_broken(span: tuple[float, float]) -> None:
  with pytest.raises(BrokenMedia, match=rf"nothing from {span[0]} to {span[1]} s: it is 10.0 s"):
    media_lib.cut(_numbered(10), *span)


def test_feature_files_are_cut(tmp_path: pathlib.Path) -> None:
  np.save(tmp_path / "a.npy", np.arange(10, dtype=np.float16)[:, None])
  settings = MediaSettings(1.0, feature_width=1)
  found = read_media(MediaFile(FEATURES, str(tmp_path / "a.npy"), 4.0, 7.0), settings)
  assert np.asarray(found.payload)[:, 0].tolist() == [4, 5, 6]
  thinned = read_media(
    MediaFile(FEATURES, str(tmp_path / "a.npy"), 4.0, 7.0),
    MediaSettings(1.0, feature_width=1, max_frames=1),
  )
  assert np.asarray(thinned.payload)[:, 0].tolist() == [5]


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
  assert thin.time.tolist() == [share * count // len(kept) for share in range(len(kept))]
  assert thin.duration == count


def test_segments_of_a_thinned_video_are_where_they_were() -> None:
  """A sentence about a sixth of a video is about the segment that is this sixth."""
  whole = Media(60.0, media_lib.even_times(60, 1.0), np.zeros((60, 4), np.float16))
  for media in (whole, media_lib.thin(whole, 6)):
    choice = frames.choose_frames(
      media.time, media.duration, frames=6, segments=6, jitter=np.full(6, 0.5)
    )
    told = np.array([[0, 10], [20, 30]], np.float32)
    np.testing.assert_allclose(frames.temporal_iou(choice.bounds, told), np.eye(6)[:, [0, 2]])
