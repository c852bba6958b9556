"""Media of a family: read in parallel, written in shards that are only ever added.

Every shard holds the same number of videos (the last one of a run fewer) in the order of their ids.
A shard gets its name when it is whole, and the videos of whole shards are not read again. So a run
that was interrupted and started again writes the same bytes, and a second dataset of the family
only adds shards.
"""

import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
from typing import Any

from mla_jax.data import beam_media, record_writer, workers
from mla_jax.data.beam_tasks import Beam
from mla_jax.data.media import (
    DEFAULT_FRAME_RATES,
    FEATURES,
    FRAMES,
    Found,
    MediaSettings,
    common_feature_width,
    exact_rate,
)
from mla_jax.data.media_folder import (
    MediaFolder,
    described,
    ids_already_there,
    manifest_or_none,
)
from mla_jax.errors import UserError

_NAMED = 3  # Ids named in a message about many.


@dataclasses.dataclass(frozen=True)
class MediaResult:
  """What a family's media hold after a run.

  Attributes:
    index: video id -> record.
    added: videos this run added.
    missing, broken: id -> reason, of the videos asked for in this run.
  """

  index: dict[str, int]
  added: int
  missing: dict[str, str]
  broken: dict[str, str]


def media_settings(
    found: Found,
    directory: pathlib.Path,
    *,
    frame_rate: float | None,
    short_side: int,
    jpeg_quality: int,
    max_frames: int,
) -> MediaSettings:
  """The settings of a run: what the user chose, and of feature files the common width.

  Raises:
    UserError: a value out of range, or `directory` holds media of other settings.
  """
  rate = DEFAULT_FRAME_RATES[found.source] if frame_rate is None else frame_rate
  if not 0.001 <= rate <= 1000:
    raise UserError(f"--frame_rate={rate}: must lie between 0.001 and 1000 frames a second")
  if short_side < 8 or not 1 <= jpeg_quality <= 95 or max_frames < 0:
    raise UserError(
        f"--short_side={short_side} --jpeg_quality={jpeg_quality} --max_frames={max_frames}: must"
        " be at least 8, 1 to 95, and 0 or more")
  width = None
  manifest = manifest_or_none(directory)
  if found.source == FEATURES:
    width = manifest["feature_width"] if manifest else None
    width = width or common_feature_width(file for _, file in sorted(found.files.items()))
  settings = MediaSettings(float(exact_rate(rate)), short_side, jpeg_quality, max_frames, width)
  if manifest:
    _check_same(directory, manifest, described(found.source, settings))
  return settings


def _check_same(directory: pathlib.Path, manifest: dict[str, Any], wanted: dict[str, Any]) -> None:
  for name, value in wanted.items():
    there = manifest["settings"].get(name)
    if there != value:
      raise UserError(
          f"{directory}: prepared with {name} {there}, not {value}: use the same setting, or"
          " another --out or --family")


def expected_bytes(found: Found) -> int:
  """About what the records of features or image folders will take; 0 for videos, unknown."""
  if found.source not in (FEATURES, FRAMES):
    return 0
  sample = [file.path for _, file in sorted(found.files.items())[:100]]
  total = 0
  for path in sample:
    with contextlib.suppress(OSError):  # It will be reported as broken when it is read.
      total += sum(e.stat().st_size for e in os.scandir(path)) if os.path.isdir(path) else (
          os.path.getsize(path))
  return total * len(found.files) // len(sample)


def prepare_media(
    directory: pathlib.Path,
    family: str,
    found: Found,
    settings: MediaSettings,
    *,
    skip_broken: bool,
    num_workers: int,
    shard_videos: int,
    beam: Beam | None = None,
) -> MediaResult:
  """Adds to `directory` every video of `found` that is not there yet.

  Args:
    directory: the family's media folder.
    family: names the TFDS dataset.
    found: which videos to add, and which could not be found.
    settings: what a record holds; equal to that of the records already there.
    skip_broken: leave out what is broken or missing instead of raising.
    num_workers: processes; the result does not depend on it.
    shard_videos: videos a shard.
    beam: reads and writes by a Beam pipeline instead of here; the same files.

  Raises:
    UserError: videos are broken or missing and `skip_broken` is off, or the disk is full.
  """
  there = set(ids_already_there(directory))
  missing = {i: reason for i, reason in found.missing.items() if i not in there}
  if not skip_broken:
    _refuse(missing, len(found.files) + len(found.missing), "not found", "put them there")
  record_writer.check_out(directory, 0)
  with record_writer.writing(directory):
    folder = MediaFolder(directory, family, found.source, settings)
    before = len(folder.index)
    add = _add_here if beam is None else functools.partial(_add_by_beam, beam, directory)
    broken = add(folder, found, settings, num_workers, shard_videos, skip_broken)
    folder.finish(missing, broken)
  beam_media.clear(directory)
  return MediaResult(folder.index, len(folder.index) - before, missing, broken)


def _add_here(
    folder: MediaFolder,
    found: Found,
    settings: MediaSettings,
    num_workers: int,
    shard_videos: int,
    skip_broken: bool,
) -> dict[str, str]:
  """Reads and writes on this machine; returns id -> reason of the broken videos."""
  broken: dict[str, str] = {}
  todo = [(i, found.files[i]) for i in sorted(set(found.files) - set(folder.index))]
  records = workers.read_records(todo, settings, num_workers, broken)
  while shard := list(itertools.islice(records, shard_videos)):
    folder.add_shard(shard)
  if not skip_broken:
    _refuse_broken(broken, found)
  return broken


def _add_by_beam(
    beam: Beam,
    directory: pathlib.Path,
    folder: MediaFolder,
    found: Found,
    settings: MediaSettings,
    num_workers: int,
    shard_videos: int,
    skip_broken: bool,
) -> dict[str, str]:
  work = beam_media.plan(directory, folder, found, settings, num_workers, shard_videos)
  broken = beam_media.read(beam, work)
  if not skip_broken:
    _refuse_broken(broken, found)
  beam_media.write_shards(beam, work, folder)
  return broken


def _refuse_broken(broken: dict[str, str], found: Found) -> None:
  _refuse(broken, len(found.files), "broken", "mend them")


def _refuse(reasons: dict[str, str], total: int, what: str, mend: str) -> None:
  if reasons:
    named = ", ".join(f"{i} ({reason})" for i, reason in itertools.islice(reasons.items(), _NAMED))
    more = ", ..." if len(reasons) > _NAMED else ""
    raise UserError(
        f"{len(reasons)} of {total} videos {what}: {named}{more}: {mend}, or go on without them"
        " by --skip_broken")
