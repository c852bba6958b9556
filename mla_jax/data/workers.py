"""Reading media files in parallel processes, in order, surviving a file that kills its reader."""

import collections
from collections.abc import Generator, Iterator, Sequence
import concurrent.futures
from concurrent.futures.process import BrokenProcessPool
import contextlib
import sys
from typing import Any

from mla_jax.data import process_pool, record_format
from mla_jax.data.media import BrokenMedia, Media, MediaFile, MediaSettings, read_media

_TASK = 4  # Files a worker is given at once: fewer would make it wait for the next ones.
_AHEAD = 2  # Tasks a worker may be ahead of the writer: bounds memory.


def progress_bar(name: str, videos: int) -> Any:
  """A tqdm bar on standard error; where that is a file, a line twice a minute."""
  from tqdm import tqdm

  seconds = 0.1 if sys.stderr.isatty() else 30.0
  return tqdm(total=videos, desc=name, unit="video", mininterval=seconds, disable=not videos)


def read_records(
    videos: Sequence[tuple[str, MediaFile]],
    settings: MediaSettings,
    num_workers: int,
    broken: dict[str, str],
    *,
    show: bool = True,
) -> Iterator[tuple[str, int, bytes]]:
  """Yields (id, frames, record) in order, and notes the reasons of broken videos in `broken`.

  Args:
    videos: ids and where their media lie.
    settings: the same for all.
    num_workers: processes; the result does not depend on it.
    broken: gets id -> reason of each video that cannot be read.
    show: progress on standard error.
  """
  results = read_in_order([file for _, file in videos], settings, num_workers)
  with contextlib.closing(results), progress_bar("media", len(videos) * show) as progress:
    for (video_id, _), media in zip(videos, results, strict=True):
      progress.update()
      if isinstance(media, str):
        broken[video_id] = media
      else:
        yield video_id, len(media.time), record_format.serialise_media(video_id, media)


def read_in_order(
    files: Sequence[MediaFile], settings: MediaSettings, num_workers: int
) -> Generator[Media | str, None, None]:
  """Yields, for every file in order, its media or the reason why it cannot be read.

  Args:
    files: what to read.
    settings: the same for all.
    num_workers: processes; 1 reads in this one.
  """
  if num_workers <= 1:
    yield from (_read(file, settings) for file in files)
    return
  done = 0
  while done < len(files):
    # A pool lives until a file kills one of its workers; then the files under way are read one by
    # one, each in a process of its own, and a new pool takes the rest.
    try:
      for result in _read_by_pool(files[done:], settings, num_workers):
        done += 1
        yield result
    except BrokenProcessPool:
      for file in files[done : done + num_workers * _AHEAD * _TASK]:
        done += 1
        yield _read_alone(file, settings)


def _read_by_pool(
    files: Sequence[MediaFile], settings: MediaSettings, num_workers: int
) -> Generator[Media | str, None, None]:
  pool = process_pool.new_pool(min(num_workers, len(files)))
  try:
    waiting: collections.deque[concurrent.futures.Future[list[Media | str]]] = collections.deque()
    for start in range(0, len(files), _TASK):
      waiting.append(pool.submit(_read_several, files[start : start + _TASK], settings))
      if len(waiting) == num_workers * _AHEAD:
        yield from waiting.popleft().result()
    while waiting:
      yield from waiting.popleft().result()
  finally:
    pool.shutdown(cancel_futures=True)


def _read_alone(file: MediaFile, settings: MediaSettings) -> Media | str:
  pool = process_pool.new_pool(1)
  try:
    return pool.submit(_read_several, [file], settings).result()[0]
  except BrokenProcessPool:
    return "reading it ends the process (a crash of the decoder, or out of memory)"
  finally:
    pool.shutdown(cancel_futures=True)


def _read_several(files: Sequence[MediaFile], settings: MediaSettings) -> list[Media | str]:
  return [_read(file, settings) for file in files]


def _read(file: MediaFile, settings: MediaSettings) -> Media | str:
  try:
    return read_media(file, settings)
  except BrokenMedia as error:
    return str(error)
  except MemoryError:
    return "out of memory while reading it"
