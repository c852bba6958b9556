"""Media of a family: read in parallel, written in shards that are only ever added.

Every shard holds the same number of videos (the last one of a run fewer) in the order of their ids.
A shard gets its name when it is whole, and the videos of whole shards are not read again. So a run
that was interrupted and started again writes the same bytes, and a second dataset of the family
only adds shards.
"""

from collections.abc import Iterator, Sequence
import contextlib
import dataclasses
import itertools
import os
import pathlib
from typing import Any

from mla_jax.data import record_format, record_writer, workers
from mla_jax.data.media import (
    DEFAULT_FRAME_RATES,
    FEATURES,
    FRAMES,
    Found,
    MediaFile,
    MediaSettings,
    common_feature_width,
    exact_rate,
)
from mla_jax.data.records import MediaStore, open_reader
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
  manifest = _manifest_or_none(directory)
  if found.source == FEATURES:
    width = manifest["feature_width"] if manifest else None
    width = width or common_feature_width(file for _, file in sorted(found.files.items()))
  settings = MediaSettings(float(exact_rate(rate)), short_side, jpeg_quality, max_frames, width)
  if manifest:
    _check_same(directory, manifest, _described(found.source, settings))
  return settings


def _described(source: str, settings: MediaSettings) -> dict[str, Any]:
  names = ["frame_rate", "max_frames"]
  if source != FEATURES:
    names += ["short_side", "jpeg_quality"]
  return {"source": source} | {name: getattr(settings, name) for name in names}


def _check_same(directory: pathlib.Path, manifest: dict[str, Any], wanted: dict[str, Any]) -> None:
  for name, value in wanted.items():
    there = manifest["settings"].get(name)
    if there != value:
      raise UserError(
          f"{directory}: prepared with {name} {there}, not {value}: use the same setting, or"
          " another --out or --family")


def _manifest_or_none(directory: pathlib.Path) -> dict[str, Any] | None:
  if not (directory / record_format.MANIFEST).exists():
    return None
  return record_format.read_manifest(directory)


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

  Raises:
    UserError: videos are broken or missing and `skip_broken` is off, or the disk is full.
  """
  there = set(ids_already_there(directory))
  missing = {i: reason for i, reason in found.missing.items() if i not in there}
  if not skip_broken:
    _refuse(missing, len(found.files) + len(found.missing), "not found", "put them there")
  record_writer.check_out(directory, 0)
  with record_writer.writing(directory):
    folder = _Folder(directory, family, found.source, settings)
    before = len(folder.index)
    todo = sorted(set(found.files) - set(folder.index))
    broken: dict[str, str] = {}
    records = _read_all([(i, found.files[i]) for i in todo], settings, num_workers, broken)
    while shard := list(itertools.islice(records, shard_videos)):
      folder.add_shard(shard)
    if not skip_broken:
      _refuse(broken, len(found.files), "broken", "mend them")
    folder.finish(missing, broken)
  return MediaResult(folder.index, len(folder.index) - before, missing, broken)


def ids_already_there(directory: pathlib.Path) -> list[str]:
  """The videos of a finished media folder, in the order of their records."""
  manifest = _manifest_or_none(directory)
  return MediaStore.open(directory).video_ids() if manifest and manifest["complete"] else []


def _refuse(reasons: dict[str, str], total: int, what: str, mend: str) -> None:
  if reasons:
    named = ", ".join(f"{i} ({reason})" for i, reason in itertools.islice(reasons.items(), _NAMED))
    more = ", ..." if len(reasons) > _NAMED else ""
    raise UserError(
        f"{len(reasons)} of {total} videos {what}: {named}{more}: {mend}, or go on without them"
        " by --skip_broken")


def _read_all(
    videos: Sequence[tuple[str, MediaFile]],
    settings: MediaSettings,
    num_workers: int,
    broken: dict[str, str],
) -> Iterator[tuple[str, int, bytes]]:
  """Yields (id, frames, record) in order, and notes the reasons of broken videos in `broken`."""
  results = workers.read_in_order([file for _, file in videos], settings, num_workers)
  with contextlib.closing(results), workers.progress_bar("media", len(videos)) as progress:
    for (video_id, _), media in zip(videos, results, strict=True):
      progress.update()
      if isinstance(media, str):
        broken[video_id] = media
      else:
        yield video_id, len(media.time), record_format.serialise_media(video_id, media)


class _Folder:
  """The media folder while it is written: the shards in the manifest and those not yet in it."""

  def __init__(
      self, directory: pathlib.Path, family: str, source: str, settings: MediaSettings):
    self._directory = directory
    self._dataset = f"{family}_{record_format.MEDIA_FOLDER}"
    self._settings = settings
    record_writer.remove_partial(directory)
    manifest = _manifest_or_none(directory)
    if manifest is None:
      # Before the first shard: a run that resumes must know the settings of the shards it finds.
      manifest = {
          "format": record_format.FORMAT,
          "complete": False,
          "kind": "features" if source == FEATURES else "jpeg",
          "feature_width": settings.feature_width,
          "settings": _described(source, settings),
          "files": [],
          "tfds_files": [],
          "missing": {},
          "broken": {},
      }
      record_writer.write_manifest(directory, manifest)
    self._manifest = manifest
    self._files: list[dict[str, Any]] = [f for f in manifest["files"] if "records" in f]
    listed = directory / record_format.VIDEO_IDS
    ids = listed.read_text().split() if self._files else []
    ids = ids[: sum(file["records"] for file in self._files)]
    self.index = {video_id: record for record, video_id in enumerate(ids)}
    while (path := self._next_path()).exists():
      self._list_shard(path)

  def _next_path(self) -> pathlib.Path:
    name = record_format.shard_name(self._dataset, record_format.MEDIA_SPLIT, len(self._files))
    return self._directory / name

  def _list_shard(self, path: pathlib.Path) -> None:
    """Takes up a whole shard that an interrupted run left unlisted."""
    reader = open_reader(path)
    videos = []
    for position in range(reader.num_records()):
      raw = reader.read([position])[0]
      video_id, media = record_format.parse_media(raw, self._settings.feature_width)
      videos.append((video_id, len(media.time)))
    reader.close()
    self._append(path, videos)

  def add_shard(self, records: list[tuple[str, int, bytes]]) -> None:
    path = self._next_path()
    record_writer.write_shard(path, (record for _, _, record in records))
    self._append(path, [(video_id, frames) for video_id, frames, _ in records])

  def _append(self, path: pathlib.Path, videos: list[tuple[str, int]]) -> None:
    entry = record_format.file_entry(path, len(videos))
    self._files.append(entry | {"frames": sum(frames for _, frames in videos)})
    for video_id, _ in videos:
      self.index[video_id] = len(self.index)

  def finish(self, missing: dict[str, str], broken: dict[str, str]) -> None:
    """Lists every shard; the manifest comes last and makes the rest count."""
    if not self._files:
      raise UserError(f"{self._directory}: no video could be read: {_first_reason(broken)}")
    directory = self._directory
    features = record_format.tfds_features(self._settings.feature_width, texts=False)
    splits = {record_format.MEDIA_SPLIT: self._files}
    tfds_files = record_writer.write_tfds_info(directory, self._dataset, features, splits)
    ids = "".join(f"{video_id}\n" for video_id in self.index)
    record_writer.write_bytes(directory / record_format.VIDEO_IDS, ids.encode())
    others = [record_format.file_entry(directory / record_format.VIDEO_IDS)]
    files = self._files + others
    manifest = self._manifest | {
        "complete": True,
        "videos": len(self.index),
        "frames": sum(file["frames"] for file in self._files),
        "files": files,
        "tfds_files": tfds_files,
        "missing": self._still_absent("missing", missing),
        "broken": self._still_absent("broken", broken),
        "fingerprint": record_format.fingerprint(files),
    }
    record_writer.write_manifest(directory, manifest)

  def _still_absent(self, name: str, reasons: dict[str, str]) -> dict[str, str]:
    known = self._manifest[name] | reasons
    return {video_id: known[video_id] for video_id in sorted(known) if video_id not in self.index}


def _first_reason(broken: dict[str, str]) -> str:
  return next((f"{video_id}: {reason}" for video_id, reason in broken.items()), "")
