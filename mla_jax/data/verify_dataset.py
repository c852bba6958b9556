"""Re-reads prepared folders whole and checks everything that training relies on."""

from collections.abc import Iterator, Sequence
import concurrent.futures
import io
import json
import os
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from mla_jax.data import answers, record_format
from mla_jax.data.media import Media
from mla_jax.data.record_format import TextRecord
from mla_jax.data.records import MediaStore, TextStore
from mla_jax.data.text import TOKENIZER_FILES, Tokenizer
from mla_jax.data.workers import progress_bar
from mla_jax.errors import UserError

_CHUNK = 256  # Records read at once.


def verify(directory: str | pathlib.Path) -> None:
  """Checks every prepared folder under `directory` and prints a line for each.

  Raises:
    UserError: there is none, or some are damaged (each with its own printed line).
  """
  directory = pathlib.Path(directory)
  folders = _prepared_folders(directory)
  if not folders:
    raise UserError(f"{directory}: no prepared dataset in it: give the --out of prepare")
  damaged = []
  for folder in folders:
    try:
      print(f"ok       {folder}: {_verify_folder(folder)}", flush=True)
    except UserError as error:
      damaged.append(folder)
      print(f"DAMAGED  {error}", flush=True)
  if damaged:
    names = ", ".join(map(str, damaged))
    raise UserError(
        f"{len(damaged)} of {len(folders)} datasets damaged: {names}: delete and prepare again")


def _prepared_folders(directory: pathlib.Path) -> list[pathlib.Path]:
  """Every folder that has, or should have, a manifest."""
  marks = {record_format.MANIFEST, *record_format.TFDS_FILES}
  return sorted(
      pathlib.Path(path) for path, _, names in os.walk(directory)
      if marks & set(names) or any(map(_is_shard, names)))


def _is_shard(name: str) -> bool:
  return ".array_record-" in name and not name.endswith(record_format.PARTIAL)


def _verify_folder(folder: pathlib.Path) -> str:
  manifest = record_format.finished_manifest(folder)
  _check_files(folder, manifest)
  if manifest["kind"] == "texts":
    return _verify_texts(folder)
  return _verify_media(folder)


def _check_files(folder: pathlib.Path, manifest: dict[str, Any]) -> None:
  for entry in [*manifest["files"], *manifest["tfds_files"]]:
    path = folder / entry["name"]
    if not path.is_file():
      raise UserError(f"{path}: missing")
    if os.path.getsize(path) != entry["bytes"]:
      raise UserError(f"{path}: {os.path.getsize(path):,} bytes, {entry['bytes']:,} were written")
    if record_format.file_entry(path)["sha256"] != entry["sha256"]:
      raise UserError(f"{path}: its content changed since it was written")
  if record_format.fingerprint(manifest["files"]) != manifest["fingerprint"]:
    raise UserError(f"{folder}: the manifest's fingerprint is not that of its files")
  info = json.loads((folder / record_format.TFDS_FILES[0]).read_text())
  lengths = [int(n) for split in info["splits"] for n in split["shardLengths"]]
  if lengths != [entry["records"] for entry in manifest["files"] if "records" in entry]:
    raise UserError(f"{folder}: {record_format.TFDS_FILES[0]} and the manifest list other shards")


def _verify_media(folder: pathlib.Path) -> str:
  store = MediaStore.open(folder)
  ids = store.video_ids()
  if len(set(ids)) != len(ids) or len(ids) != len(store):
    raise UserError(f"{folder}: {len(store)} records, {len(ids)} ids, {len(set(ids))} unique")
  frames = 0

  def check(index: int, raw: bytes) -> int:
    video_id, media = record_format.parse_media(raw, store.feature_width)
    reason = f"its id is {video_id}" if video_id != ids[index] else _media_damage(media)
    if reason:
      raise UserError(f"{folder}: record {index} ({ids[index]}): {reason}")
    return len(media.time)

  with (
      concurrent.futures.ThreadPoolExecutor() as pool,  # JPEG decoding frees the interpreter lock.
      progress_bar("verify", len(store)) as progress,
  ):
    for chunk in _chunks(len(store)):
      for count in pool.map(check, chunk, store.shards.read(chunk)):
        frames += count
        progress.update()
  extra = _unlisted(folder, store.manifest)
  if frames != store.manifest["frames"]:
    raise UserError(f"{folder}: {frames} frames, the manifest says {store.manifest['frames']}")
  return f"{len(store):,} videos, {frames:,} {_described(store)}{extra}"


def _described(store: MediaStore) -> str:
  return "JPEG frames" if store.kind == "jpeg" else f"features of width {store.feature_width}"


def _unlisted(folder: pathlib.Path, manifest: dict[str, Any]) -> str:
  listed = sum("records" in entry for entry in manifest["files"])
  extra = sum(map(_is_shard, os.listdir(folder))) - listed
  return f" ({extra} more shards wait for their prepare to be run again)" if extra else ""


def _media_damage(media: Media) -> str:
  """Why a media record is of no use; empty where it is."""
  time = media.time
  if not len(time) or len(time) != len(media.payload):
    return f"{len(time)} times for {len(media.payload)} frames"
  if not np.isfinite(time).all() or time[0] < 0 or (np.diff(time) <= 0).any():
    return "times do not increase"
  if not media.duration >= time[-1]:
    return f"the last frame, at {time[-1]} s, is after its end, {media.duration} s"
  if isinstance(media.payload, np.ndarray):
    return "" if np.isfinite(media.payload).all() else "NaN or infinity among the features"
  try:
    sizes = {_jpeg_size(frame) for frame in media.payload}
  except (OSError, ValueError, SyntaxError) as error:
    return f"a frame is no JPEG ({error})"
  return "" if len(sizes) == 1 else f"frames of several sizes {sorted(sizes)}"


def _jpeg_size(frame: bytes) -> tuple[int, int]:
  with Image.open(io.BytesIO(frame), formats=["JPEG"]) as image:
    image.load()
    return image.size


def _verify_texts(folder: pathlib.Path) -> str:
  store = TextStore.open(folder)
  media_ids = _media_ids(folder.parent / record_format.MEDIA_FOLDER)
  seen: set[str] = set()
  for split, count in store.splits.items():
    index, videos = store.media_index(split), store.video_ids(split)
    if index.shape != (count,) or index.dtype != np.int64 or len(videos) != count:
      raise UserError(
          f"{folder}: split {split}: {count} texts, {len(index)} indices, {len(videos)} ids")
    for chunk in _chunks(count):
      for i, record in zip(chunk, store.read(split, chunk), strict=True):
        reason = (
            "its id is there twice" if record.item_id in seen else
            _text_damage(record, int(index[i]), videos[i], media_ids))
        if reason:
          raise UserError(f"{folder}: split {split}: record {i} ({record.item_id}): {reason}")
        seen.add(record.item_id)
  names = {entry["name"] for entry in store.manifest["files"]}
  for name in names & set(TOKENIZER_FILES):
    Tokenizer.load(folder / name)
  if record_format.ANSWERS in names:
    answers.read_answers(folder / record_format.ANSWERS)
  return f"{len(seen):,} texts in " + ", ".join(f"{n} ({c:,})" for n, c in store.splits.items())


def _media_ids(folder: pathlib.Path) -> list[str]:
  return MediaStore.open(folder).video_ids() if folder.is_dir() else []


def _text_damage(
    record: TextRecord, index: int, video_id: str, media_ids: Sequence[str]
) -> str:
  """Why a text record is of no use; empty where it is."""
  if (record.video_id, record.media_index) != (video_id, index):
    return f"of {record.video_id} at {record.media_index}, listed as of {video_id} at {index}"
  if not -1 <= index < len(media_ids):
    return f"points to media record {index} of {len(media_ids)}"
  if index >= 0 and media_ids[index] != video_id:
    return f"of {video_id}, points to the media of {media_ids[index]}"
  if not record.text and not record.candidates:
    return "no text"
  if any(not 0 <= s.start < s.end <= len(record.text) for s in record.segments):
    return f"a segment is outside its text: {record.segments}"
  if record.answer_index >= 0 and record.candidates[record.answer_index :][:1] != (record.answer,):
    return f"its answer is not candidate {record.answer_index} of {len(record.candidates)}"
  if any(not start < end for start, end in record.moments):
    return f"a moment is no span of time: {record.moments}"
  return ""


def _chunks(count: int) -> Iterator[range]:
  for start in range(0, count, _CHUNK):
    yield range(start, min(start + _CHUNK, count))
