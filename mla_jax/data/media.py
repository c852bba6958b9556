"""Finding a dataset's media by name, and reading one video's worth of it.

Imported by the worker processes of `prepare`, so nothing heavy is imported here.
"""

from collections.abc import Iterable, Sequence
import dataclasses
import fractions
import io
import math
import os
import pathlib
import zipfile

import numpy as np

from mla_jax.data.annotations.schema import Video
from mla_jax.errors import UserError

VIDEO_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".3gpp", ".asf", ".avi", ".divx", ".flv", ".gif", ".m2ts", ".m4v", ".mkv",
    ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".qt", ".ts", ".webm", ".wmv",
})
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
VIDEO, FRAMES, FEATURES = "video", "frames", "features"
DEFAULT_FRAME_RATES = {VIDEO: 2.0, FRAMES: 1.0, FEATURES: 1.0}
_HEADERS_READ = 100  # Feature files whose headers decide which width is the right one.


class BrokenMedia(Exception):
  """A file that cannot be used; the message is the reason, without the file's name."""


@dataclasses.dataclass(frozen=True)
class Media:
  """What was read from one video.

  Attributes:
    duration: seconds.
    time: [n] float32 seconds from the first frame, increasing: what is shown from then to the next.
    payload: n encoded JPEG frames, or [n, F] float16 features.
  """

  duration: float
  time: np.ndarray
  payload: list[bytes] | np.ndarray


@dataclasses.dataclass(frozen=True)
class MediaFile:
  """Where a video's media lies: a video file, a folder of images, or a `.npy` file.

  Attributes:
    source: VIDEO, FRAMES or FEATURES.
    path: of the file or folder.
    start, end: the seconds of it that are the video.
  """

  source: str
  path: str
  start: float = 0.0
  end: float = math.inf


@dataclasses.dataclass(frozen=True)
class MediaSettings:
  """What decides the content of a media record.

  Attributes:
    frame_rate: frames a second: taken from a video, assumed of a folder or a feature file.
    short_side: pixels of a frame's shorter side; smaller frames are not enlarged.
    jpeg_quality: 1 to 95.
    max_frames: longer videos are thinned evenly to so many; 0 keeps all.
    feature_width: of every feature file; None for pixels.
  """

  frame_rate: float
  short_side: int = 128
  jpeg_quality: int = 90
  max_frames: int = 0
  feature_width: int | None = None


@dataclasses.dataclass(frozen=True)
class Found:
  """The media of a dataset: all of one source; `missing` has the reason of each absent video."""

  source: str
  files: dict[str, MediaFile]
  missing: dict[str, str]


def find_media(directory: pathlib.Path, videos: Sequence[Video]) -> Found:
  """Looks up every video among the names a folder holds; ids are never made into paths.

  Args:
    directory: holds `<name>.<video suffix>`, `<name>/` with images, or `<name>.npy`; a file of
      another suffix, or of none, counts under its whole name.
    videos: the videos to find, each by the first of its `media_names`, then `source_names`, that is
      there; "folder/name" is looked up in a subfolder.

  Raises:
    UserError: no such folder, nothing found, two files for one name, or two kinds of media.
  """
  names = _list_folder(directory)
  names |= _list_subfolders(names, videos)
  files: dict[str, MediaFile] = {}
  missing: dict[str, str] = {}
  for video in videos:
    wanted = (*video.media_names, *video.source_names)
    name = next((name for name in wanted if name in names), None)
    if name is None:
      missing[video.video_id] = f"no file named {wanted[0]}.*"
      continue
    candidates = names[name]
    if len(candidates) > 1:
      both = " and ".join(sorted(os.path.basename(file.path) for file in candidates))
      raise UserError(f"{directory}: video {video.video_id!r}: {both} both match: keep one")
    own = name in video.media_names
    start, end = (0.0, video.max_duration) if own else video.source_span
    files[video.video_id] = dataclasses.replace(candidates[0], start=start, end=end)
  if not files:
    first = videos[0].media_names[0]
    raise UserError(
        f"{directory}: none of the {len(videos)} videos found (e.g. {first}.mp4, {first}.npy or a"
        f" folder {first}/ of images): give the folder that holds them as --media")
  examples = {file.source: file for file in files.values()}
  if len(examples) > 1:
    both = " and ".join(sorted(os.path.basename(file.path) for file in examples.values()))
    raise UserError(f"{directory}: different kinds of media ({both}): keep one kind in the folder")
  return Found(next(iter(examples)), files, missing)


def _list_folder(directory: pathlib.Path) -> dict[str, list[MediaFile]]:
  others: dict[str, list[MediaFile]] = {}
  names: dict[str, list[MediaFile]] = {}
  try:
    with os.scandir(directory) as entries:
      for entry in entries:
        stem, suffix = os.path.splitext(entry.name)
        if suffix.lower() == ".npy":
          names.setdefault(stem, []).append(MediaFile(FEATURES, entry.path))
        elif suffix.lower() in VIDEO_SUFFIXES:
          names.setdefault(stem, []).append(MediaFile(VIDEO, entry.path))
        elif entry.is_dir():
          names.setdefault(entry.name, []).append(MediaFile(FRAMES, entry.path))
        else:
          others[entry.name] = [MediaFile(VIDEO, entry.path)]
  except OSError as error:
    raise UserError(
        f"{directory}: cannot be listed ({error.strerror}): give a folder as --media") from None
  return others | names


def _list_subfolders(
    names: dict[str, list[MediaFile]], videos: Sequence[Video]
) -> dict[str, list[MediaFile]]:
  """What the folders among `names` hold that a video's name asks for, as "folder/name"."""
  parents = {name.split("/")[0] for video in videos for name in video.media_names if "/" in name}
  folders = [(parent, file) for parent in sorted(parents & set(names))
             for file in names[parent] if file.source == FRAMES]
  return {f"{parent}/{name}": found for parent, folder in folders
          for name, found in _list_folder(pathlib.Path(folder.path)).items()}


def common_feature_width(files: Iterable[MediaFile]) -> int:
  """The width most feature files have, by the headers of the first hundred readable ones.

  Raises:
    UserError: none of them is a 2-D array.
  """
  widths: dict[int, int] = {}
  reason = ""
  for file in files:
    try:
      width = int(_load_features(file.path, header_only=True).shape[1])
    except BrokenMedia as error:
      reason = reason or f"{os.path.basename(file.path)}: {error}"
      continue
    widths[width] = widths.get(width, 0) + 1
    if sum(widths.values()) == _HEADERS_READ:
      break
  if not widths:
    raise UserError(
        f"feature files: none can be read ({reason}): they must be [frames, width] .npy files")
  return max(widths, key=lambda width: (widths[width], -width))


def read_media(file: MediaFile, settings: MediaSettings) -> Media:
  """Reads one video's frames or features.

  Raises:
    BrokenMedia: the file is empty, truncated, has no picture, or does not fit the settings.
  """
  if file.source == FEATURES:
    media = _read_features(file.path, settings)
  else:
    from mla_jax.data import decode  # PyAV and PIL: features do without.

    if file.source == VIDEO:
      media = decode.read_video(file.path, settings, (file.start, file.end))
    else:
      media = decode.read_frame_folder(file.path, settings)
  return thin(cut(media, file.start, file.end), settings.max_frames)


def cut(media: Media, start: float, end: float) -> Media:
  """The frames that are shown between two times, as a video of its own that begins at 0.

  Raises:
    BrokenMedia: there is none.
  """
  if start <= 0 and end >= media.duration:
    return media
  # The borders are rounded as the times are: or two frames could begin at 0.
  first = max(0, int(np.searchsorted(media.time, np.float32(start), side="right")) - 1)
  last = int(np.searchsorted(media.time, np.float32(end), side="left"))
  if start >= media.duration or first >= last:
    raise BrokenMedia(f"has nothing from {start:g} to {end:g} s: it is {media.duration:.1f} s long")
  time = np.maximum(media.time[first:last] - np.float32(start), 0)
  return Media(min(end, media.duration) - start, time, media.payload[first:last])


def thin(media: Media, max_frames: int) -> Media:
  """Keeps `max_frames` frames, each the middle one of an equal share of the video; 0 keeps all.

  A frame gets the time its share begins at, since it is what is shown from there to the next.
  """
  count = len(media.time)
  if not max_frames or count <= max_frames:
    return media
  begin = np.arange(max_frames) * count // max_frames
  keep = (2 * np.arange(max_frames) + 1) * count // (2 * max_frames)
  if isinstance(media.payload, np.ndarray):
    payload: list[bytes] | np.ndarray = media.payload[keep]
  else:
    payload = [media.payload[i] for i in keep]
  return dataclasses.replace(media, time=media.time[begin], payload=payload)


def even_times(count: int, frame_rate: float) -> np.ndarray:
  """[count] float32: frame i of a folder or feature file is shown at i / frame_rate seconds."""
  return (np.arange(count) / frame_rate).astype(np.float32)


def exact_rate(frame_rate: float) -> fractions.Fraction:
  """A frame rate as the fraction the user meant: 2.0 -> 2, 29.97 -> 2997/100."""
  return fractions.Fraction(frame_rate).limit_denominator(100_000)


def _read_features(path: str, settings: MediaSettings) -> Media:
  values = _load_features(path)
  if values.shape[1] != settings.feature_width:
    raise BrokenMedia(f"width {values.shape[1]}, the others have {settings.feature_width}")
  if not np.isfinite(values).all():
    raise BrokenMedia("holds NaN or infinity")
  with np.errstate(over="ignore"):
    half = values.astype(np.float16)
  if not np.isfinite(half).all():
    raise BrokenMedia("holds values beyond float16 (65504)")
  return Media(len(half) / settings.frame_rate, even_times(len(half), settings.frame_rate), half)


def _load_features(path: str, *, header_only: bool = False) -> np.ndarray:
  try:
    # Read whole, since a memory map of a file that shrinks kills the process.
    data: io.BytesIO | str = path if header_only else io.BytesIO(pathlib.Path(path).read_bytes())
    values = np.load(data, mmap_mode="r" if header_only else None, allow_pickle=False)
  except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
    reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
    raise BrokenMedia(f"not a readable .npy file ({reason})") from None
  if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind != "f":
    raise BrokenMedia("not a 2-D array of floats [frames, width]")
  if not values.shape[0] or not values.shape[1]:
    raise BrokenMedia(f"no frames (shape {values.shape})")
  return values
