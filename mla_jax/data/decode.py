"""Videos and folders of images to small JPEG frames with their times."""

from fractions import Fraction
import io
import math
import os
import re
from typing import TYPE_CHECKING, Any

import av
from av.stream import Disposition
from av.video.reformatter import Interpolation
import numpy as np
from PIL import Image, ImageOps

from mla_jax.data.media import (
    IMAGE_SUFFIXES,
    BrokenMedia,
    Media,
    MediaSettings,
    even_times,
    exact_rate,
)

if TYPE_CHECKING:
  from av.container import InputContainer
  from av.video.frame import VideoFrame
  from av.video.stream import VideoStream

# Containers whose header states a length, and whose reader ends without an error when a cut-off
# file does not reach it.
_LENGTH_IN_HEADER = ("matroska", "flv", "asf")
_LEAST_GAP = 1.0  # Seconds that the stated and the true length may always differ by.
_ORIENTATION = 0x0112  # EXIF tag: 1, or absent, is upright.


def read_video(
    path: str, settings: MediaSettings, span: tuple[float, float] = (0.0, math.inf)
) -> Media:
  """Decodes a video and keeps the frame shown at each tick, `span[0]` + k / frame_rate.

  A frame that is shown over several ticks is kept once. Times are seconds from the first frame, by
  the frames' own time stamps. A frame of another size than the first one is scaled to it.

  Frames that are not shown between the seconds of `span` may be left out; what comes after them is
  not decoded, so that damage there is not found.

  Raises:
    BrokenMedia: no video stream, no frame, a decode error anywhere, or an end well before the
      length the file states.
  """
  try:
    if not os.path.getsize(path):
      raise BrokenMedia("empty file")
    # Local files only: a playlist in disguise must not make the reader fetch anything.
    options = {"protocol_whitelist": "file"}
    with av.open(os.path.abspath(path), metadata_errors="ignore", options=options) as container:
      return _read_container(container, settings, span)
  except (av.FFmpegError, OSError, ValueError) as error:
    raise BrokenMedia(f"truncated or not a video ({_reason(error)})") from None


def _read_container(
    container: "InputContainer", settings: MediaSettings, span: tuple[float, float]
) -> Media:
  stream = next(
      (s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)
  if stream is None:
    audio = bool(container.streams.audio)
    raise BrokenMedia("audio only" if audio else "truncated or not a video (no stream in it)")
  stream.codec_context.thread_count = 1  # `prepare` runs one process a core.
  picker = _Picker(stream, settings, span)
  end = Fraction(0)  # Of the packets of all streams.
  pictures = 0  # Packets of this one, shown or not: an edit list hides what it was cut out of.
  for packet in container.demux():
    if packet.is_corrupt:
      raise BrokenMedia(f"truncated or damaged at {float(end):.1f} s")
    if packet.pts is not None and packet.time_base:
      end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
    if packet.stream_index != stream.index:
      continue
    pictures += packet.size > 0
    try:
      for frame in stream.decode(packet):
        picker.show(frame)
    except av.FFmpegError as error:
      raise BrokenMedia(f"truncated or damaged at {float(end):.1f} s ({_reason(error)})") from None
    if picker.done:
      return picker.finish()
  _check_length(container, stream, float(end), pictures)
  return picker.finish(container if pictures >= stream.frames > 0 else None)


def _check_length(
    container: "InputContainer", stream: "VideoStream", end: float, pictures: int
) -> None:
  """What a file states of its length is only used to find out that its end is missing.

  Pictures are counted where it states how many there are: many last longer than the mean.
  """
  if stream.frames:
    gap = max(_LEAST_GAP * float(stream.average_rate or 25), stream.frames / 10)
    if pictures < stream.frames - gap:
      raise BrokenMedia(f"truncated: has {pictures} of {stream.frames} pictures")
  elif container.duration and any(n in container.format.name for n in _LENGTH_IN_HEADER):
    stated = container.duration / av.time_base
    if end < stated - max(_LEAST_GAP, stated / 10):
      raise BrokenMedia(f"truncated: ends at {end:.1f} s of {stated:.1f} s")


class _Picker:
  """Takes the frames of a video one after the other and keeps those that a tick falls on."""

  def __init__(
      self,
      stream: "VideoStream",
      settings: MediaSettings,
      span: tuple[float, float] = (0.0, math.inf),
  ):
    self._span = span  # Seconds whose frames are wanted.
    self._stream = stream
    self._settings = settings
    self._unit = stream.time_base or Fraction(1, av.time_base)  # Seconds of a time stamp's step.
    self._ticks = exact_rate(settings.frame_rate) * self._unit  # A fraction: compared exactly.
    self._first = round(Fraction(span[0]) / self._unit)  # The first tick.
    self._origin = 0
    self._shown: VideoFrame | None = None
    self._start = 0  # Of the shown frame, in time units from the first frame.
    self._longest = 0  # Time between two frames.
    self._size: tuple[int, int] | None = None
    self._times: list[float] = []
    self._frames: list[bytes] = []

  def show(self, frame: "VideoFrame") -> None:
    """Ends the frame shown so far at the start of `frame`; one without a later time is dropped."""
    if self._shown is None:
      self._origin, self._shown = frame.pts or 0, frame
      return
    start = self._start + self._usual_gap() if frame.pts is None else frame.pts - self._origin
    if start > self._start:
      self._longest = max(self._longest, start - self._start)
      self._keep_if_on_tick(start)
      self._shown, self._start = frame, start

  @property
  def done(self) -> bool:
    """Whether all later frames are shown after the span."""
    return self._seconds(self._start) >= self._span[1]

  def finish(self, whole: "InputContainer | None" = None) -> Media:
    """What was kept; of a file with all its pictures, as `whole`, the last may be a long still."""
    if self._shown is None:
      raise BrokenMedia("no frame could be decoded")
    # The last frame's length is a claim of the file alone, so that its stated end has to agree.
    most = max(self._longest, round(1 / self._unit))
    if whole is not None and whole.duration is not None:
      stated = Fraction((whole.start_time or 0) + whole.duration, av.time_base)
      most = max(most, round(stated / self._unit) - self._origin - self._start)
    end = self._start + min(self._shown.duration or self._usual_gap(), most)
    self._keep_if_on_tick(end)
    return Media(float(end * self._unit), np.array(self._times, np.float32), self._frames)

  def _seconds(self, units: int) -> float:
    return float(units * self._unit)

  def _usual_gap(self) -> int:
    rate = self._stream.average_rate
    return self._longest or max(1, round(1 / ((rate or 25) * self._unit)))

  def _keep_if_on_tick(self, end: int) -> None:
    unit, scale = self._ticks.numerator, self._ticks.denominator
    first_tick = max(0, -((self._first - self._start) * unit // scale))
    wanted = self._seconds(self._start) < self._span[1] and self._seconds(end) > self._span[0]
    if self._shown is not None and wanted and first_tick * scale < (end - self._first) * unit:
      self._times.append(float(self._start * self._unit))
      self._frames.append(self._encode(self._shown))

  def _encode(self, frame: "VideoFrame") -> bytes:
    turns = round(frame.rotation / 90) % 4
    if self._size is None:
      aspect = self._stream.sample_aspect_ratio or 1
      size = small_size(frame.width * float(aspect), frame.height, self._settings.short_side)
      self._size = size[::-1] if turns % 2 else size
    width, height = self._size[::-1] if turns % 2 else self._size
    pixels = frame.reformat(
        width=width, height=height, format="rgb24", interpolation=Interpolation.AREA, threads=1
    ).to_ndarray()
    return encode_jpeg(Image.fromarray(np.rot90(pixels, turns)), self._settings.jpeg_quality)


def small_size(width: float, height: float, short_side: int) -> tuple[int, int]:
  """(width, height) with the shorter side at most `short_side`, aspect kept, even where scaled."""
  scale = min(1.0, short_side / min(width, height))
  if scale == 1:
    return round(width), round(height)
  return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def encode_jpeg(image: Image.Image, quality: int) -> bytes:
  buffer = io.BytesIO()
  image.save(buffer, "JPEG", quality=quality)
  return buffer.getvalue()


def read_frame_folder(path: str, settings: MediaSettings) -> Media:
  """Reads a folder of images, in the order of their names with numbers counted as numbers.

  A JPEG that is already small enough is stored as it is; others are scaled as a video's frames are,
  to the size of the first.

  Raises:
    BrokenMedia: no image in the folder, or one that cannot be decoded.
  """
  try:
    names = [n for n in os.listdir(path) if os.path.splitext(n)[1].lower() in IMAGE_SUFFIXES]
  except OSError as error:
    raise BrokenMedia(f"cannot be listed ({_reason(error)})") from None
  names = sorted((n for n in names if not n.startswith(".")), key=_natural)
  if not names:
    raise BrokenMedia("no image in the folder")
  frames: list[bytes] = []
  size: tuple[int, int] | None = None
  for name in names:
    try:
      with open(os.path.join(path, name), "rb") as file:
        frame, size = _small_image(file.read(), size, settings)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
      raise BrokenMedia(f"{name}: not a whole image ({_reason(error)})") from None
    frames.append(frame)
  rate = settings.frame_rate
  return Media(len(frames) / rate, even_times(len(frames), rate), frames)


def _small_image(
    content: bytes, size: tuple[int, int] | None, settings: MediaSettings
) -> tuple[bytes, tuple[int, int]]:
  image: Any = Image.open(io.BytesIO(content))
  image.load()  # Decodes: a cut-off file shows itself here.
  upright = image.getexif().get(_ORIENTATION, 1) == 1
  plain = image.format == "JPEG" and image.mode == "RGB" and upright
  image = ImageOps.exif_transpose(image)
  width, height = image.size
  size = size or small_size(width, height, settings.short_side)
  if plain and image.size == size:
    return content, size
  image = image.convert("RGB")
  if image.size != size:
    image = image.resize(size, Image.Resampling.BILINEAR)
  return encode_jpeg(image, settings.jpeg_quality), size


def _natural(name: str) -> list[tuple[bool, int, str]]:
  """Sort key in which frame2 comes before frame10."""
  return [(p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in re.split(r"(\d+)", name)]


def _reason(error: Exception) -> str:
  text = getattr(error, "strerror", None) or str(error) or type(error).__name__
  return str(text).splitlines()[0][:100]
