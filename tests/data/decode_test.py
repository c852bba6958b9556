"""Videos: which frames are kept, their times and sizes, and every way a file can be broken."""

from fractions import Fraction
import pathlib
from types import SimpleNamespace
from typing import Any

import av
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.data import decode
from mla_jax.data.media import VIDEO, BrokenMedia, MediaFile, MediaSettings, read_media
from tests.data import video_files


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_the_frame_shown_at_each_tick_is_kept_with_its_own_time(
  tmp_path: pathlib.Path, name: str
) -> None:
  # 10 frames a second, ticks every 0.4 s: frames 0, 4, 8 ... A .ts starts at a time other than 0.
  media = video_files.read(video_files.write_video(tmp_path / name, 30), 2.5)
  assert video_files.greys(media.payload) == [0, 4, 8, 12, 16, 20, 24, 28 % 28]
  np.testing.assert_allclose(media.time, np.arange(8) * 0.4, atol=1e-3)
  assert media.duration == pytest.approx(3.0, abs=0.01)


def test_a_tick_between_two_frames_takes_the_earlier_one(tmp_path: pathlib.Path) -> None:
  media = video_files.read(video_files.write_video(tmp_path / "a.mp4", 20), 4.0)
  assert video_files.greys(media.payload) == [0, 2, 5, 7, 10, 12, 15, 17]
  np.testing.assert_allclose(media.time, [0, 0.2, 0.5, 0.7, 1.0, 1.2, 1.5, 1.7], atol=1e-6)


def test_a_slow_video_gives_each_frame_once(tmp_path: pathlib.Path) -> None:
  media = video_files.read(video_files.write_video(tmp_path / "a.mp4", 5, rate=1), 2.0)
  assert video_files.greys(media.payload) == [0, 1, 2, 3, 4]
  np.testing.assert_allclose(media.time, np.arange(5))


@pytest.mark.parametrize(
  ("span", "shown"),
  [
    ((0, 1), [0, 2, 5, 7]),
    ((0.5, 1.2), [5, 7, 10]),
    ((1, 2), [10, 12, 15, 17]),
    ((1.55, 1.85), [15, 18]),
    ((0.62, 0.64), [6]),  # Between two frames.
    ((1.5, 9), [15, 17]),
  ],
)
def test_a_part_of_a_video_has_the_frames_shown_from_its_start_on(
  tmp_path: pathlib.Path, span: tuple[float, float], shown: list[int]
) -> None:
  path = video_files.write_video(tmp_path / "a.mp4", 20)
  part = read_media(MediaFile(VIDEO, str(path), *span), MediaSettings(4.0))
  assert video_files.greys(part.payload) == shown
  assert part.duration == pytest.approx(min(span[1], 2) - span[0])
  begins = [max(0.0, frame / 10 - span[0]) for frame in shown]
  np.testing.assert_allclose(part.time, begins, atol=1e-6)


def test_what_comes_after_a_part_is_not_decoded(tmp_path: pathlib.Path) -> None:
  path = video_files.truncate(video_files.write_video(tmp_path / "a.mkv", 60, codec="mjpeg"), 0.7)
  with pytest.raises(BrokenMedia):
    decode.read_video(str(path), MediaSettings(2.0))
  media = read_media(MediaFile(VIDEO, str(path), 1.0, 2.0), MediaSettings(2.0))
  assert video_files.greys(media.payload) == [10, 15]
  np.testing.assert_allclose(media.time, [0, 0.5])


def test_uneven_times_are_the_files_own(tmp_path: pathlib.Path) -> None:
  path = video_files.write_video(
    tmp_path / "a.mkv", 6, pts=[0, 100, 1200, 1300, 2900, 3000], time_base=Fraction(1, 1000)
  )
  media = video_files.read(path, 2.0)
  # Ticks 0 | 0.5, 1.0 | 1.5 to 2.5 | 3.0: the frames at 0, 0.1, 1.3 and 3.0 s are shown then.
  assert video_files.greys(media.payload) == [0, 1, 3, 5]
  np.testing.assert_allclose(media.time, [0, 0.1, 1.3, 3.0], atol=1e-6)


class _Recorder(decode._Picker):
  def _encode(self, frame: SimpleNamespace) -> bytes:  # type: ignore[override]
    return str(frame.name).encode()


@given(
  gaps=st.lists(st.integers(1, 400), min_size=0, max_size=30),
  last=st.integers(1, 100),
  origin=st.integers(-500, 500),
  rate=st.sampled_from([0.5, 1.0, 2.0, 2.5, 29.97, 1000 / 3]),
)
def test_picked_frames_equal_a_look_up_of_every_tick(
  gaps: list[int], last: int, origin: int, rate: float
) -> None:
  unit = Fraction(1, 100)
  stream = SimpleNamespace(time_base=unit, average_rate=None)
  picker = _Recorder(stream, MediaSettings(rate))
  starts = np.concatenate([[0], np.cumsum(gaps, dtype=int)]).tolist()
  for i, start in enumerate(starts):
    duration = last if i == len(starts) - 1 else 7777  # What earlier frames claim is of no account.
    picker.show(SimpleNamespace(pts=origin + start, duration=duration, name=i))
  media = picker.finish()
  end, shown, tick = starts[-1] + last, [], Fraction(0)
  while tick < end * unit:
    frame = max(i for i, start in enumerate(starts) if start * unit <= tick)
    if frame not in shown:
      shown.append(frame)
    tick += 1 / Fraction(rate).limit_denominator(100_000)
  assert [int(frame) for frame in media.payload] == shown
  np.testing.assert_allclose(media.time, [starts[i] / 100 for i in shown], rtol=1e-6)
  assert media.duration == pytest.approx(end / 100)


def test_a_last_frame_that_claims_an_hour_is_not_believed() -> None:
  stream = SimpleNamespace(time_base=Fraction(1, 10), average_rate=10)
  picker = _Recorder(stream, MediaSettings(1.0))
  for i in range(20):
    picker.show(SimpleNamespace(pts=i, duration=36_000, name=i))
  assert picker.finish().duration == pytest.approx(2.9)


@pytest.mark.parametrize(
  ("size", "expected"),
  [
    ((640, 360), (228, 128)),
    ((360, 640), (128, 228)),
    ((128, 96), (128, 96)),
    ((130, 130), (128, 128)),
  ],
)
def test_the_short_side_is_scaled_down_only(
  tmp_path: pathlib.Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
  path = video_files.write_video(tmp_path / "a.mp4", 3, size=size)
  media = video_files.read(path, short_side=128)
  assert video_files.decoded(media.payload[0]).shape == (expected[1], expected[0], 3)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(8, 512))
def test_small_size_keeps_the_aspect(width: int, height: int, short_side: int) -> None:
  small = decode.small_size(width, height, short_side)
  if min(width, height) <= short_side:
    assert small == (width, height)
  else:
    assert abs(min(small) - short_side) <= 1
    assert all(side % 2 == 0 for side in small)
    scale = short_side / min(width, height)
    assert abs(small[0] - width * scale) <= 1
    assert abs(small[1] - height * scale) <= 1


def _write_halves(path: pathlib.Path, *, turn: int = 0, aspect: int = 1) -> pathlib.Path:
  """A video of 64 x 48 whose left half is white."""
  pixels = np.zeros((48, 64, 3), np.uint8)
  pixels[:, :32] = 255
  with av.open(str(path), "w") as file:
    stream: Any = file.add_stream("libx264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.codec_context.sample_aspect_ratio = Fraction(aspect)
    if turn:
      stream.set_display_rotation(turn)
    for _ in range(3):
      file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
    file.mux(stream.encode())
  return path


@pytest.mark.parametrize(("turn", "white"), [(-90, np.s_[:32]), (90, np.s_[32:])])
def test_a_phones_turned_video_is_upright(tmp_path: pathlib.Path, turn: int, white: slice) -> None:
  media = video_files.read(_write_halves(tmp_path / "a.mp4", turn=turn))
  pixels = video_files.decoded(media.payload[0]).astype(float)
  assert pixels.shape == (64, 48, 3)
  assert pixels[white].mean() > 250
  assert pixels.mean() == pytest.approx(127.5, abs=3)


def test_wide_pixels_are_made_square(tmp_path: pathlib.Path) -> None:
  media = video_files.read(_write_halves(tmp_path / "a.mp4", aspect=2))
  assert video_files.decoded(media.payload[0]).shape == (48, 128, 3)


def test_a_changing_size_is_scaled_to_the_first_frames(tmp_path: pathlib.Path) -> None:
  path = video_files.write_changing_size(tmp_path / "a.mkv", [(64, 48), (32, 64), (128, 96)])
  media = video_files.read(path, 1.0)
  assert [video_files.decoded(frame).shape for frame in media.payload] == 3 * [(48, 64, 3)]
  assert video_files.greys(media.payload) == [0, 10, 20]


def test_one_frame_is_a_video(tmp_path: pathlib.Path) -> None:
  media = video_files.read(video_files.write_video(tmp_path / "a.mp4", 1))
  assert video_files.greys(media.payload) == [0]
  assert media.time.tolist() == [0]
  assert media.duration == pytest.approx(0.1)


def test_long_videos_are_thinned_evenly(tmp_path: pathlib.Path) -> None:
  media = video_files.read(video_files.write_video(tmp_path / "a.mp4", 24), 10.0, max_frames=4)
  assert video_files.greys(media.payload) == [3, 9, 15, 21]
  np.testing.assert_allclose(media.time, [0, 0.6, 1.2, 1.8], atol=1e-6)  # Where shares begin.


def test_the_same_file_gives_the_same_bytes(tmp_path: pathlib.Path) -> None:
  path = video_files.write_video(tmp_path / "a.mp4", 20, size=(320, 240))
  assert video_files.read(path).payload == video_files.read(path).payload


def test_an_empty_file_is_broken(tmp_path: pathlib.Path) -> None:
  path = tmp_path / "a.mp4"
  path.touch()
  with pytest.raises(BrokenMedia, match="empty file"):
    video_files.read(path)


def test_a_file_of_text_is_broken(tmp_path: pathlib.Path) -> None:
  path = tmp_path / "a.mp4"
  path.write_text("<html>404</html>" * 100)
  with pytest.raises(BrokenMedia, match="not a video"):
    video_files.read(path)


@pytest.mark.parametrize(
  ("name", "codec", "container"),
  [
    ("index_last.mp4", "libx264", {}),
    ("index_first.mp4", "libx264", {"movflags": "faststart"}),
    ("a.mkv", "libx264", {}),
    ("a.webm", "libvpx", {}),
    ("a.avi", "mpeg4", {}),
  ],
)
def test_a_truncated_video_is_broken(
  tmp_path: pathlib.Path, name: str, codec: str, container: dict[str, str]
) -> None:
  path = video_files.write_video(
    tmp_path / name, 60, size=(320, 240), codec=codec, container=container
  )
  assert len(video_files.read(path).time) == 12
  with pytest.raises(BrokenMedia, match="truncated"):
    video_files.read(video_files.truncate(path))


def test_a_cut_off_last_picture_is_broken(tmp_path: pathlib.Path) -> None:
  # Half a JPEG decodes without an error: only the packet tells.
  path = video_files.write_video(
    tmp_path / "a.mov", 60, codec="mjpeg", container={"movflags": "faststart"}
  )
  with pytest.raises(BrokenMedia, match=r"truncated or damaged at 5\.9 s"):
    video_files.read(video_files.truncate(path, 0.995))


def test_damage_in_the_middle_is_broken(tmp_path: pathlib.Path) -> None:
  path = video_files.write_video(
    tmp_path / "a.mp4", 60, size=(320, 240), container={"movflags": "faststart"}
  )
  content = bytearray(path.read_bytes())
  middle = slice(len(content) // 2, len(content) // 2 + 400)
  content[middle] = bytes(255 - byte for byte in content[middle])
  path.write_bytes(content)
  with pytest.raises(BrokenMedia, match="truncated or damaged"):
    video_files.read(path)


def test_a_video_without_pictures_is_broken(tmp_path: pathlib.Path) -> None:
  with pytest.raises(BrokenMedia, match="audio only"):
    video_files.read(video_files.write_audio(tmp_path / "a.mp4"))
  with pytest.raises(BrokenMedia, match=r"no frame|not a video"):
    video_files.read(video_files.write_video(tmp_path / "b.mkv", 0))


def test_a_playlist_in_disguise_reads_nothing_else(tmp_path: pathlib.Path) -> None:
  video_files.write_video(tmp_path / "secret.ts", 30)
  path = tmp_path / "a.mp4"
  path.write_text(f"ffconcat version 1.0\nfile '{tmp_path}/secret.ts'\n")
  with pytest.raises(BrokenMedia):
    video_files.read(path)
  path.write_text(f"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:9/{tmp_path}/secret.ts\n#EXT-X-ENDLIST\n")
  with pytest.raises(BrokenMedia):
    video_files.read(path)


def test_real_clips_keep_their_length_and_rate(real_data: pathlib.Path) -> None:
  paths = (
    sorted((real_data / "clips").glob("*.mp4"))[:5]
    + sorted((real_data / "msvd_clips").glob("*"))[:3]
  )
  for path in paths:
    with av.open(str(path)) as file:
      times = [frame.time for frame in file.decode(video=0)]
    media = video_files.read(path)
    ticks = np.arange(0, media.duration, 0.5)
    shown = [max(t for t in times if t <= tick + 1e-9) for tick in ticks]
    np.testing.assert_allclose(media.time, shown, atol=1e-5)
