"""Frames a second of `prepare` on a folder of videos, against a single-process PyAV loop.

    python -m benchmarks.prepare --media=DIR [--workers=N] [--copies=N] [--repeats=N]

Both decode every frame, take two a second, scale their short side to 128 pixels and encode them as
JPEG; `prepare` also checks the files, starts its processes and writes the records. They run in
turn; the medians count. Importing the libraries is left out of both.
"""

from collections.abc import Sequence
import io
import os
import pathlib
import statistics
import tempfile
import time

from absl import app, flags

from mla_jax import cores, log
from mla_jax.data.media import VIDEO_SUFFIXES

_MEDIA = flags.DEFINE_string("media", None, "Folder of videos.", required=True)
_WORKERS = flags.DEFINE_integer("workers", 0, "Processes of prepare; 0: one a core.")
_COPIES = flags.DEFINE_integer("copies", 4, "Times every video is read.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Runs of each; the median counts.", lower_bound=1)

_RATE, _SHORT_SIDE, _QUALITY = 2, 128, 90


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError(f"unknown arguments: {argv[1:]}")
  log.configure()
  workers = _WORKERS.value or cores.count()
  with tempfile.TemporaryDirectory() as folder:
    links = pathlib.Path(folder, "media")
    links.mkdir()
    videos = pathlib.Path(_MEDIA.value).resolve().iterdir()
    for path in sorted(path for path in videos if path.suffix.lower() in VIDEO_SUFFIXES):
      for copy in range(_COPIES.value):
        (links / f"{path.stem}_{copy}{path.suffix}").symlink_to(path)
    frames = _loop(links)  # Also warms the file cache up.
    prepare = _Prepare(links)
    loops, prepares = [], []
    for repeat in range(_REPEATS.value):
      start = time.perf_counter()
      _loop(links)
      loops.append(time.perf_counter() - start)
      start = time.perf_counter()
      prepare.run(pathlib.Path(folder, f"out{repeat}"), workers)
      prepares.append(time.perf_counter() - start)
  ours, reference = frames / statistics.median(prepares), frames / statistics.median(loops)
  print(
      f"prepare, {workers} workers: {ours:,.0f} decoded frames/s; PyAV loop, 1 process:"
      f" {reference:,.0f} frames/s; ratio {ours / reference:.2f} ({len(loops)} runs of {frames:,}"
      f" frames, load {os.getloadavg()[0]:.1f})")


class _Prepare:
  """`prepare_media` on a folder, with everything it imports already there."""

  def __init__(self, media: pathlib.Path):
    from mla_jax.data import prepare_media, record_format
    from mla_jax.data.annotations.schema import Video
    from mla_jax.data.media import find_media

    names = sorted(path.stem for path in media.iterdir())
    self._module = prepare_media
    self._found = find_media(media, [Video(name, (name,)) for name in names])
    self._settings = prepare_media.media_settings(
        self._found, media / "none", frame_rate=_RATE, short_side=_SHORT_SIDE,
        jpeg_quality=_QUALITY, max_frames=0)
    record_format.tfds_features(None, texts=False)  # Imports TensorFlow and TFDS.

  def run(self, out: pathlib.Path, workers: int) -> None:
    self._module.prepare_media(
        out, "benchmark", self._found, self._settings,
        skip_broken=True, num_workers=workers, shard_videos=256)


def _loop(media: pathlib.Path) -> int:
  """Decodes every video of a folder one after the other; returns the number of frames decoded."""
  import av
  from PIL import Image

  decoded = 0
  for path in sorted(media.iterdir()):
    kept: list[bytes] = []
    with av.open(str(path)) as container:
      tick = 0
      for frame in container.decode(video=0):
        decoded += 1
        if frame.time is None or frame.time < tick / _RATE:
          continue
        tick += 1
        scale = min(1.0, _SHORT_SIDE / min(frame.width, frame.height))
        size = round(frame.width * scale), round(frame.height * scale)
        pixels = frame.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
        kept.append(buffer.getvalue())
  return decoded


if __name__ == "__main__":
  app.run(main)
