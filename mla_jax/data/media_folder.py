"""A family's media folder while it is written: shards that are only ever added, then the manifest.

A shard gets its name when it is whole, so that a run which was interrupted finds what it has done.
"""

import os
import pathlib
from typing import Any

from mla_jax.data import record_format, record_writer
from mla_jax.data.media import FEATURES, MediaSettings
from mla_jax.data.records import MediaStore, open_reader
from mla_jax.errors import UserError


def manifest_or_none(directory: pathlib.Path) -> dict[str, Any] | None:
  """Of a finished or an interrupted folder; None where nothing was begun."""
  if not (directory / record_format.MANIFEST).exists():
    return None
  return record_format.read_manifest(directory)


def ids_already_there(directory: pathlib.Path) -> list[str]:
  """The videos of a finished media folder, in the order of their records."""
  manifest = manifest_or_none(directory)
  return MediaStore.open(directory).video_ids() if manifest and manifest["complete"] else []


def described(source: str, settings: MediaSettings) -> dict[str, Any]:
  """The settings as the manifest holds them: those that the content depends on."""
  names = ["frame_rate", "max_frames"]
  if source != FEATURES:
    names += ["short_side", "jpeg_quality"]
  return {"source": source} | {name: getattr(settings, name) for name in names}


class MediaFolder:
  """The media folder while it is written: the shards in the manifest and those not yet in it."""

  def __init__(
      self, directory: pathlib.Path, family: str, source: str, settings: MediaSettings):
    self._directory = directory
    self._dataset = f"{family}_{record_format.MEDIA_FOLDER}"
    self._settings = settings
    record_writer.remove_partial(directory)
    manifest = manifest_or_none(directory)
    if manifest is None:
      # Before the first shard: a run that resumes must know the settings of the shards it finds.
      manifest = {
          "format": record_format.FORMAT,
          "complete": False,
          "kind": "features" if source == FEATURES else "jpeg",
          "feature_width": settings.feature_width,
          "settings": described(source, settings),
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

  def take_shard(
      self, source: pathlib.Path, videos: list[tuple[str, int]], entry: dict[str, Any]
  ) -> None:
    """Takes up a whole shard that lies elsewhere; `entry` is its line in the manifest."""
    path = self._next_path()
    os.replace(source, path)
    self._append(path, videos, entry | {"name": path.name})

  def _append(
      self,
      path: pathlib.Path,
      videos: list[tuple[str, int]],
      entry: dict[str, Any] | None = None,
  ) -> None:
    entry = entry or record_format.file_entry(path, len(videos))
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
