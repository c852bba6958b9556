"""How a prepared dataset lies on disk: its features, its serialised records, its manifest.

A prepared folder holds ArrayRecord shards named by their index alone (so that shards can be added
later), the `dataset_info.json` and `features.json` of TFDS, and a `manifest.json` of our own, which
is written last: a folder without a finished manifest is not a dataset.
"""

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import pathlib
import re
from typing import Any

import numpy as np

from mla_jax.data import text_fields
from mla_jax.data.annotations.schema import Segment, Subtitle
from mla_jax.data.media import Media
from mla_jax.errors import UserError

FORMAT = 1  # Raised when a reader of the old form could not read the new one.
# One record a chunk: what random access wants. Not compressed: that would save nothing of JPEG, a
# quarter of float16 features, and take twice the time to read.
WRITER_OPTIONS = "group_size:1,uncompressed"
MEDIA_FOLDER = "media"
MEDIA_SPLIT = "videos"
MANIFEST = "manifest.json"
PARTIAL = ".partial"  # Suffix of what is being written; the next run removes it.
VIDEO_IDS = "video_ids.txt"
ANSWERS = "answers.json"
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}"
TFDS_FILES = ("dataset_info.json", "features.json")
_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")


@dataclasses.dataclass(frozen=True, slots=True)
class TextRecord:
  """One text of a prepared dataset; `media_index` is its video's record, -1 where there is none.

  The other attributes are those of `schema.TextItem`.
  """

  item_id: str
  video_id: str
  media_index: int
  text: str
  segments: tuple[Segment, ...] = ()
  answer: str = ""
  question_type: str = ""
  candidates: tuple[str, ...] = ()
  answer_index: int = -1
  count: int = -1
  references: tuple[str, ...] = ()
  moments: tuple[tuple[float, float], ...] = ()
  saliency: tuple[tuple[int, int, int, int], ...] = ()
  duration: float = float("nan")
  subtitles: tuple[Subtitle, ...] = ()


def check_split_name(split: str) -> None:
  """Raises `UserError` for a name that TFDS cannot hold (`all` means every split there)."""
  if split == "all" or not _SPLIT_NAME.fullmatch(split):
    raise UserError(f"split {split!r}: not a usable name: use letters, digits and _, and not 'all'")


def shard_name(dataset: str, split: str, index: int) -> str:
  return f"{dataset}-{split}.array_record-{index:05d}"


def media_index_name(split: str) -> str:
  return f"{split}.media_index.npy"


def video_ids_name(split: str) -> str:
  return f"{split}.{VIDEO_IDS}"


@functools.cache
def _example_type() -> Any:
  from tensorflow.core.example import (
    example_pb2,  # Slow: a mistyped flag need not wait.
  )

  return example_pb2.Example


def serialise_text(record: TextRecord, fields: Iterable[str] | None = None) -> bytes:
  """A record as bytes, with those of `text_fields` that its folder stores (None: that it uses)."""
  example = _example_type()()
  feature = example.features.feature
  for name in ("item_id", "video_id", "text", "answer", "question_type"):
    feature[name].bytes_list.value.append(getattr(record, name).encode())
  feature["media_index"].int64_list.value.append(record.media_index)
  for name in ("start", "end"):
    values = [getattr(segment, name) for segment in record.segments]
    feature[f"segments/{name}"].int64_list.value.extend(values)
  for name in ("start_time", "end_time"):
    times = [getattr(segment, name) for segment in record.segments]
    feature[f"segments/{name}"].float_list.value.extend(times)
  names = text_fields.used_fields([record]) if fields is None else fields
  text_fields.write_fields(feature, record, names)
  return example.SerializeToString(deterministic=True)


def parse_text(raw: bytes) -> TextRecord:
  feature = _example_type().FromString(raw).features.feature
  strings = [
      feature[name].bytes_list.value[0].decode()
      for name in ("item_id", "video_id", "text", "answer", "question_type")
  ]
  item_id, video_id, text, answer, question_type = strings
  segments = tuple(map(
      Segment,
      feature["segments/start"].int64_list.value,
      feature["segments/end"].int64_list.value,
      feature["segments/start_time"].float_list.value,
      feature["segments/end_time"].float_list.value,
  ))
  index = feature["media_index"].int64_list.value[0]
  return TextRecord(
      item_id, video_id, index, text, segments, answer, question_type,
      **text_fields.read_fields(feature))


def serialise_media(video_id: str, media: Media) -> bytes:
  example = _example_type()()
  feature = example.features.feature
  feature["video_id"].bytes_list.value.append(video_id.encode())
  feature["duration"].float_list.value.append(media.duration)
  feature["time"].float_list.value.extend(media.time.tolist())
  if isinstance(media.payload, np.ndarray):
    feature["features"].bytes_list.value.append(media.payload.astype("<f2").tobytes())
  else:
    feature["frames"].bytes_list.value.extend(media.payload)
  return example.SerializeToString(deterministic=True)


def parse_media(raw: bytes, feature_width: int | None) -> tuple[str, Media]:
  """The inverse of `serialise_media`; `feature_width` is None for JPEG frames."""
  feature = _example_type().FromString(raw).features.feature
  payload: list[bytes] | np.ndarray
  if feature_width is None:
    payload = list(feature["frames"].bytes_list.value)
  else:
    values = np.frombuffer(feature["features"].bytes_list.value[0], "<f2")
    payload = values.reshape(-1, feature_width)
  time = np.asarray(feature["time"].float_list.value, np.float32)
  duration = feature["duration"].float_list.value[0]
  return feature["video_id"].bytes_list.value[0].decode(), Media(duration, time, payload)


def tfds_features(
    feature_width: int | None, *, texts: bool, fields: Iterable[str] = ()
) -> Any:
  """The TFDS features of a texts folder, or of media of the given width (None: JPEG).

  `fields` are those of `text_fields` that the texts folder stores.
  """
  import tensorflow_datasets as tfds  # Heavy: only the writer needs it.

  if texts:
    segment = {"start": np.int64, "end": np.int64, "start_time": np.float32, "end_time": np.float32}
    return tfds.features.FeaturesDict({
        "item_id": tfds.features.Text(),
        "video_id": tfds.features.Text(),
        "media_index": np.int64,
        "text": tfds.features.Text(),
        "answer": tfds.features.Text(),
        "question_type": tfds.features.Text(),
        "segments": tfds.features.Sequence(segment),
        **text_fields.tfds_features(fields),
    })
  # `encoding="bytes"` is what makes float16 cost two bytes a value.
  payload = (
      {"frames": tfds.features.Video((None, None, None, 3), encoding_format="jpeg")}
      if feature_width is None
      else {"features": tfds.features.Tensor(
          shape=(None, feature_width), dtype=np.float16, encoding="bytes")}
  )
  return tfds.features.FeaturesDict({
      "video_id": tfds.features.Text(),
      "duration": np.float32,
      "time": tfds.features.Tensor(shape=(None,), dtype=np.float32),
      **payload,
  })


def read_manifest(directory: pathlib.Path) -> dict[str, Any]:
  """Reads a finished folder's manifest.

  Raises:
    UserError: there is none, it is unfinished, damaged, or of another format version.
  """
  path = directory / MANIFEST
  try:
    manifest = json.loads(path.read_text())
  except FileNotFoundError:
    raise UserError(
        f"{directory}: no prepared dataset here (no {MANIFEST}): run mla_jax.prepare") from None
  except (OSError, ValueError) as error:
    raise UserError(f"{path}: cannot be read ({error}): prepare the dataset again") from None
  if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
    found = manifest.get("format") if isinstance(manifest, dict) else None
    raise UserError(
        f"{path}: format {found}, this version reads {FORMAT}: prepare the dataset again")
  if manifest.pop("checksum", None) != checksum(manifest):
    raise UserError(f"{path}: changed or damaged: delete its folder and prepare the dataset again")
  return manifest


def checksum(manifest: dict[str, Any]) -> str:
  """Of a manifest's content, kept in the manifest itself."""
  return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def finished_manifest(directory: pathlib.Path) -> dict[str, Any]:
  """`read_manifest`, refusing the manifest of an interrupted preparation."""
  manifest = read_manifest(directory)
  if not manifest["complete"]:
    raise UserError(
        f"{directory}: its preparation did not finish: run the same prepare command again")
  return manifest


def fingerprint(files: Sequence[dict[str, Any]]) -> str:
  """One sha256 over the names and sha256 of a folder's data files."""
  lines = b"".join(_line(file["name"], file["sha256"]) for file in files)
  return hashlib.sha256(lines).hexdigest()


def media_fingerprints(
    files: Iterable[dict[str, Any]], video_ids: Iterable[str]
) -> Iterator[str]:
  """The `fingerprint` of a media folder with the first of its shards alone, the first two, ...

  Shards are only ever added: any that the folder had earlier is among them. What it costs is
  linear in both.

  Args:
    files: of its manifest.
    video_ids: the id of every record.
  """
  ids, shards, listed = iter(video_ids), hashlib.sha256(), hashlib.sha256()
  for file in files:
    if "records" in file:
      shards.update(_line(file["name"], file["sha256"]))
      added = itertools.islice(ids, file["records"])
      listed.update("".join(f"{video_id}\n" for video_id in added).encode())
      whole = shards.copy()
      whole.update(_line(VIDEO_IDS, listed.hexdigest()))
      yield whole.hexdigest()


def _line(name: str, sha256: str) -> bytes:
  """Of a file in a fingerprint."""
  return f"{name} {sha256}\n".encode()


def digest(path: pathlib.Path) -> str:
  """The sha256 of a file's content."""
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def file_entry(path: pathlib.Path, records: int | None = None) -> dict[str, Any]:
  """A file's line in the manifest: name, bytes, sha256, and records where it holds some."""
  entry = {"name": path.name, "bytes": os.path.getsize(path), "sha256": digest(path)}
  return entry if records is None else entry | {"records": records}
