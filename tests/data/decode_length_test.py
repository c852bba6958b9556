"""How long a video is, and which are cut off: hidden pictures, long stills, one picture."""

from collections.abc import Sequence
from fractions import Fraction
import pathlib
from typing import Any

import av
import numpy as np
from PIL import Image
import pytest

from mla_jax.data.media import BrokenMedia
from tests.data import video_files


def cut_by_copy(source: pathlib.Path, start: float) -> pathlib.Path:
  """As `ffmpeg -ss START -i SOURCE -c copy`: pictures before the start are kept and hidden."""
  target = source.with_name("cut.mp4")
  with av.open(str(source)) as whole, av.open(str(target), "w") as part:
    stream: Any = part.add_stream_from_template(whole.streams.video[0])
    unit: Any = whole.streams.video[0].time_base
    shift = round(start / unit)
    for packet in whole.demux(video=0):
      if packet.dts is None or packet.pts is None:
        continue
      packet.pts -= shift
      packet.dts -= shift
      packet.stream = stream
      part.mux(packet)
  return target


def write_stills(
  path: pathlib.Path, starts: Sequence[float], last: float, container: dict[str, str] | None = None
) -> pathlib.Path:
  """A picture at each of these seconds, the last one shown for `last`."""
  unit = Fraction(1, 1000)
  with av.open(str(path), "w", options=container or {}) as file:
    stream: Any = file.add_stream("libx264", rate=30, options={"bf": "0"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.codec_context.time_base = unit
    packets = []
    for number, start in enumerate(starts):
      frame = video_files.grey_frame(number, (64, 48))
      frame.pts, frame.time_base = round(1000 * start), unit
      packets += stream.encode(frame)
    packets += stream.encode()
    ends = [*starts[1:], starts[-1] + last]
    for packet, start, end in zip(packets, starts, ends, strict=True):
      packet.duration = round((end - start) / packet.time_base)
      file.mux(packet)
  return path


@pytest.mark.parametrize("start", [0.0, 2.0, 4.5])
def test_a_part_cut_out_without_encoding_is_whole(tmp_path: pathlib.Path, start: float) -> None:
  """It has all pictures since the last key frame, of which those before the cut are not shown."""
  options = {"g": "300", "sc_threshold": "0", "bf": "0"}
  whole = video_files.write_video(tmp_path / "a.mp4", 60, options=options)
  media = video_files.read(cut_by_copy(whole, start))
  assert media.duration == pytest.approx(6.0 - start)
  assert video_files.greys(media.payload) == [n % 28 for n in range(round(10 * start), 60, 5)]


@pytest.mark.parametrize(
  ("starts", "last"),
  [
    (np.arange(50) / 10, 10.0),
    (np.arange(300) / 10, 5.0),
    ([0.0, 2.0, 4.0, 6.0], 28.0),
    ([0.0], 10.0),
  ],
  ids=["film, then a still", "long film, then a still", "slides", "one picture"],
)
def test_a_last_picture_may_stay(
  tmp_path: pathlib.Path, starts: Sequence[float], last: float
) -> None:
  media = video_files.read(write_stills(tmp_path / "a.mp4", list(starts), last))
  assert media.duration == pytest.approx(starts[-1] + last, abs=0.01)


def test_a_gif_may_pause_at_its_end(tmp_path: pathlib.Path) -> None:
  first, *others = [Image.new("L", (64, 48), 60 * number) for number in range(4)]
  path = tmp_path / "a.gif"
  first.save(path, save_all=True, append_images=others, duration=[100, 100, 100, 3000])
  media = video_files.read(path)
  assert media.duration == pytest.approx(3.3)
  np.testing.assert_allclose(media.time, [0, 0.3])


def test_stills_that_are_cut_off_are_broken(tmp_path: pathlib.Path) -> None:
  path = write_stills(tmp_path / "a.mp4", list(range(40)), 30.0, {"movflags": "faststart"})
  assert video_files.read(path).duration == pytest.approx(69.0)
  with pytest.raises(BrokenMedia, match="truncated"):
    video_files.read(video_files.truncate(path, 0.8))
