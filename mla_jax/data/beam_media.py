"""Media of a family read and written by a Beam pipeline: the files of `prepare_media`, elsewhere.

First each task reads one part of the videos and keeps their records; then it is known which are
broken, and so which records a shard holds, and each task writes one shard. Workers must see the
media and the output under the same paths. Until the shards are moved the records are there twice.
"""

from collections.abc import Iterator
import dataclasses
import functools
import hashlib
import os
import pathlib
from typing import Any, TypeAlias

from mla_jax import cores
from mla_jax.data import beam_tasks, record_format, record_writer, workers
from mla_jax.data.beam_tasks import Beam, Part
from mla_jax.data.media import Found, MediaFile, MediaSettings
from mla_jax.data.media_folder import MediaFolder
from mla_jax.data.records import open_reader
from mla_jax.errors import UserError

Slice: TypeAlias = tuple[int, int, int]  # Part, its first record, records.
Shard: TypeAlias = tuple[int, str, tuple[Slice, ...]]  # Its number, a digest of its ids, records.
_FOLDER = "beam"


@dataclasses.dataclass(frozen=True)
class Work:
  """What tasks share.

  Attributes:
    folder: of their list and results.
    settings: of the records.
    num_workers: processes that read a part; 0: one a core of the worker.
    size: videos a part and a shard.
  """

  folder: pathlib.Path
  settings: MediaSettings
  num_workers: int
  size: int


def plan(
    directory: pathlib.Path,
    folder: MediaFolder,
    found: Found,
    settings: MediaSettings,
    num_workers: int,
    shard_videos: int,
) -> tuple[Work, list[Part]]:
  """Lists the videos that are not in `folder` yet, or goes on with the list of a run before."""
  tasks = directory.absolute() / _FOLDER
  ids = list(folder.index)
  # Of a run that was stopped while it moved its shards, those are still part of the list.
  before = min(beam_tasks.read_header(tasks).get("before", len(ids)), len(ids))
  todo = sorted(set(found.files) - set(ids[:before]))
  lines = ([i, *dataclasses.astuple(_absolute(found.files[i]))] for i in todo)
  header = {"before": before, "settings": dataclasses.asdict(settings)}
  parts = beam_tasks.write_list(tasks, header, lines, shard_videos)
  return Work(tasks, settings, num_workers, shard_videos), parts


def _absolute(file: MediaFile) -> MediaFile:
  return dataclasses.replace(file, path=os.path.abspath(file.path))


def read(beam: Beam, planned: tuple[Work, list[Part]]) -> dict[str, str]:
  """Reads every part that is not read yet; returns id -> reason of the broken videos."""
  work, parts = planned
  beam.run("media", functools.partial(_read_part, work), parts)
  broken: dict[str, str] = {}
  for number, _ in parts:
    broken |= beam_tasks.read_json(_outcome(work, number))["broken"]
  return broken


def _read_part(work: Work, part: Part) -> None:
  videos = [(line[0], MediaFile(*line[1:]))
            for line in beam_tasks.read_part(work.folder, part, work.size)]
  num_workers = work.num_workers or cores.count()
  done = beam_tasks.read_json(_outcome(work, part[0]))
  if done is not None:  # What was broken may have been mended since.
    videos_broken = [video for video in videos if video[0] in done["broken"]]
    broken: dict[str, str] = {}
    for _ in workers.read_records(videos_broken, work.settings, num_workers, broken, show=False):
      pass
    if broken == done["broken"]:
      return
  broken = {}
  records = list(workers.read_records(videos, work.settings, num_workers, broken, show=False))
  if records:
    with beam_tasks.own_path(_records(work, part[0])) as path:
      record_writer.write_shard(path, (raw for _, _, raw in records))
  beam_tasks.write_json(_outcome(work, part[0]), {
      "videos": [[video_id, frames] for video_id, frames, _ in records], "broken": broken})


def write_shards(beam: Beam, planned: tuple[Work, list[Part]], folder: MediaFolder) -> None:
  """Writes the shards from the parts, and moves them into `folder` in order.

  Raises:
    UserError: a run without Beam has written some of their videos in shards of another size.
  """
  work, parts = planned
  videos: list[tuple[str, int]] = []
  places: list[tuple[int, int]] = []
  for number, _ in parts:
    outcome = beam_tasks.read_json(_outcome(work, number))
    videos += [(video_id, frames) for video_id, frames in outcome["videos"]]
    places += [(number, place) for place in range(len(outcome["videos"]))]
  starts = range(0, len(videos), work.size)
  shards = [
      _shard(number, videos[start : start + work.size], places[start : start + work.size])
      for number, start in enumerate(starts)]
  beam.run("shards", functools.partial(_write_shard, work), shards)
  for (number, _, _), start in zip(shards, starts, strict=True):
    part = videos[start : start + work.size]
    there = sum(video_id in folder.index for video_id, _ in part)
    if there not in (0, len(part)):
      raise UserError(f"{work.folder}: another run has changed the media since this list was made:"
                      " delete this folder and run the same command again")
    if not there:
      written = beam_tasks.read_json(_written(work, number))
      folder.take_shard(_shard_path(work, number), part, written["entry"])


def _shard(number: int, videos: list[tuple[str, int]], places: list[tuple[int, int]]) -> Shard:
  ids = "".join(f"{video_id} {frames}\n" for video_id, frames in videos)
  slices: list[Slice] = []
  for part, place in places:
    if slices and slices[-1][0] == part:
      _, first, count = slices.pop()
      slices.append((part, first, count + 1))
    else:
      slices.append((part, place, 1))
  return number, hashlib.sha256(ids.encode()).hexdigest(), tuple(slices)


def _write_shard(work: Work, shard: Shard) -> None:
  number, ids, slices = shard
  written = beam_tasks.read_json(_written(work, number))
  if written is not None and written["ids"] == ids:
    return
  path = _shard_path(work, number)
  with beam_tasks.own_path(path) as own:
    count = record_writer.write_shard(own, _raw_records(work, slices))
    entry: dict[str, Any] = record_format.file_entry(own, count)
  beam_tasks.write_json(_written(work, number), {"ids": ids, "entry": entry})


def _raw_records(work: Work, slices: tuple[Slice, ...]) -> Iterator[bytes]:
  for part, first, count in slices:
    reader = open_reader(_records(work, part))
    for place in range(first, first + count):
      yield reader.read([place])[0]
    reader.close()


def clear(directory: pathlib.Path) -> None:
  """Removes what the tasks left, once the media folder is finished."""
  beam_tasks.clear(directory.absolute() / _FOLDER)


def _records(work: Work, part: int) -> pathlib.Path:
  return work.folder / f"part-{part:05d}"


def _outcome(work: Work, part: int) -> pathlib.Path:
  return work.folder / f"part-{part:05d}.json"


def _shard_path(work: Work, number: int) -> pathlib.Path:
  return work.folder / f"shard-{number:05d}"


def _written(work: Work, number: int) -> pathlib.Path:
  return work.folder / f"shard-{number:05d}.json"
