"""Video and image files made for the tests: frame i of a video is a grey of its own."""

from collections.abc import Sequence
from fractions import Fraction
import io
import pathlib
from typing import Any

import av
import numpy as np
from PIL import Image

from mla_jax.data.media import FRAMES, VIDEO, Media, MediaFile, MediaSettings, read_media

GREY_STEP = 8


def grey(index: int) -> int:
  return 16 + GREY_STEP * (index % 28)


def read(path: pathlib.Path, frame_rate: float = 2.0, **settings: int) -> Media:
  """What is kept of a video or a folder of images; `settings` as MediaSettings names them."""
  source = FRAMES if path.is_dir() else VIDEO
  return read_media(MediaFile(source, str(path)), MediaSettings(frame_rate, **settings))


def write_video(
  path: pathlib.Path,
  count: int = 30,
  *,
  rate: int = 10,
  codec: str = "libx264",
  size: tuple[int, int] = (64, 48),
  pts: Sequence[int] | None = None,
  time_base: Fraction | None = None,
  container: dict[str, str] | None = None,
  options: dict[str, str] | None = None,
) -> pathlib.Path:
  """Writes `count` grey frames; `pts` in units of `time_base` where they are not evenly spaced."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with av.open(str(path), "w", options=container or {}) as file:
    stream: Any = file.add_stream(codec, rate=rate, options=options or {})
    stream.width, stream.height = size
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    if time_base is not None:
      stream.codec_context.time_base = time_base
    for i in range(count):
      frame = grey_frame(i, size)
      frame.pts = i if pts is None else pts[i]
      frame.time_base = time_base or Fraction(1, rate)
      file.mux(stream.encode(frame))
    file.mux(stream.encode())
  return path


def grey_frame(index: int, size: tuple[int, int]) -> av.VideoFrame:
  pixels = np.full((size[1], size[0], 3), grey(index), np.uint8)
  return av.VideoFrame.from_ndarray(pixels, format="rgb24")


def write_changing_size(path: pathlib.Path, sizes: Sequence[tuple[int, int]]) -> pathlib.Path:
  """Ten frames a second, ten of each size, as an MJPEG stream in Matroska."""
  with av.open(str(path), "w") as file:
    stream: Any = file.add_stream("mjpeg", rate=10)
    stream.width, stream.height = sizes[0]
    stream.pix_fmt = "yuvj420p"
    file.mux(stream.encode(grey_frame(0, sizes[0])))
    for i in range(1, 10 * len(sizes)):
      size = sizes[i // 10]
      packet = av.Packet(jpeg(grey(i), size))
      packet.stream, packet.time_base = stream, Fraction(1, 10)
      packet.pts = packet.dts = i
      packet.duration = 1
      packet.is_keyframe = True
      file.mux(packet)
  return path


def write_audio(path: pathlib.Path) -> pathlib.Path:
  """A second of silence without a picture."""
  with av.open(str(path), "w") as file:
    stream: Any = file.add_stream("aac", rate=16000, layout="mono")
    for i in range(16):
      frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
      frame.sample_rate, frame.pts = 16000, 1024 * i
      file.mux(stream.encode(frame))
    file.mux(stream.encode())
  return path


def truncate(path: pathlib.Path, share: float = 0.6) -> pathlib.Path:
  path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
  return path


def jpeg(
  value: int, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: object
) -> bytes:
  buffer = io.BytesIO()
  colour = value if mode == "L" else (value,) * 3
  Image.new(mode, size, colour).save(buffer, "JPEG", **options)
  return buffer.getvalue()


def decoded(frame: bytes) -> np.ndarray:
  return np.asarray(Image.open(io.BytesIO(frame)))


def greys(frames: Sequence[bytes]) -> list[int]:
  """Which of the written frames each JPEG shows."""
  return [round((decoded(frame).mean() - 16) / GREY_STEP) for frame in frames]
