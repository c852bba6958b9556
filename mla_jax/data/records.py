"""Random access to a prepared dataset."""

import bisect
from collections.abc import Callable, Sequence
import functools
import itertools
import pathlib
import threading
from typing import Any, Generic, TypeVar

from array_record.python import array_record_module
import numpy as np

from mla_jax.data import record_format
from mla_jax.data.media import Media
from mla_jax.data.record_format import TextRecord
from mla_jax.errors import UserError

# Of a split's texts (some three times that in memory) and of the media, what is kept once it was
# read, in bytes as it is stored. Of the CPU time of a row of features, reading its text again was a
# fifth, and reading its clip again a quarter.
_KEPT_TEXTS, _KEPT_MEDIA = 1 << 26, 1 << 28

Record = TypeVar("Record")


class Shards:
  """The records of several ArrayRecord files as one sequence; safe to read from many threads.

  ArrayRecordDataSource does the same but starts a thread pool for every call, which halves the
  speed of small reads; a reader of this version of array_record is itself safe to share.
  """

  def __init__(self, paths: Sequence[pathlib.Path], records: Sequence[int]):
    self._paths = tuple(paths)
    self._ends = list(itertools.accumulate(records))
    self._readers: list[Any] = [None] * len(self._paths)
    self._lock = threading.Lock()

  def __len__(self) -> int:
    return self._ends[-1] if self._ends else 0

  def __reduce__(self) -> tuple[Any, ...]:
    return Shards, (self._paths, np.diff(self._ends, prepend=0).tolist())

  def read(self, indices: Sequence[int] | np.ndarray) -> list[bytes]:
    """The raw records at `indices`, in their order.

    Raises:
      IndexError: an index outside [0, len).
      UserError: a damaged or missing file.
    """
    by_shard: dict[int, tuple[list[int], list[int]]] = {}
    for place, index in enumerate(np.asarray(indices, np.int64).tolist()):
      if not 0 <= index < len(self):
        raise IndexError(f"record {index} of {len(self)}")
      shard = bisect.bisect_right(self._ends, index)
      positions, places = by_shard.setdefault(shard, ([], []))
      positions.append(index - (self._ends[shard - 1] if shard else 0))
      places.append(place)
    found = [b""] * len(indices)
    for shard, (positions, places) in by_shard.items():
      for place, record in zip(places, self._read_shard(shard, positions), strict=True):
        found[place] = record
    return found

  def _read_shard(self, shard: int, positions: list[int]) -> Sequence[bytes]:
    try:
      return self._reader(shard).read(positions)
    except (IndexError, RuntimeError, ValueError, OSError) as error:
      raise _damaged(self._paths[shard], error) from error

  def _reader(self, shard: int) -> Any:
    with self._lock:
      if self._readers[shard] is None:
        path = self._paths[shard]
        reader = open_reader(path)
        expected = self._ends[shard] - (self._ends[shard - 1] if shard else 0)
        if reader.num_records() != expected:
          raise ValueError(f"{reader.num_records()} records, the manifest says {expected}")
        self._readers[shard] = reader
      return self._readers[shard]


def open_reader(path: pathlib.Path) -> Any:
  """An ArrayRecord reader without read-ahead, as random access wants."""
  return array_record_module.ArrayRecordReader(
      str(path), options="readahead_buffer_size:0", file_reader_buffer_size=32768)


def _damaged(path: pathlib.Path, error: Exception) -> UserError:
  reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
  return UserError(f"{path}: damaged ({reason}): prepare it again")


def _read_ids(path: pathlib.Path) -> list[str]:
  try:
    return path.read_text().split()
  except (OSError, ValueError) as error:
    raise _damaged(path, error) from None


def _open_shards(directory: pathlib.Path, files: Sequence[dict[str, Any]]) -> Shards:
  return Shards([directory / file["name"] for file in files], [file["records"] for file in files])


class Parsed(Generic[Record]):
  """The parsed records of some shards; what was read is kept, as far as there is room."""

  def __init__(self, shards: Shards, parse: Callable[[bytes], Record], room: int):
    """`room` is in bytes as they are stored; what `parse` makes is shared: not to be written to."""
    self._shards = shards
    self._parse = parse
    self._capacity = self._room = room
    self._kept: dict[int, Record] = {}

  def __reduce__(self) -> tuple[Any, ...]:
    return Parsed, (self._shards, self._parse, self._capacity)

  def read(self, indices: Sequence[int] | np.ndarray) -> list[Record]:
    """The records at `indices`; thread-safe. Raises as `Shards.read`."""
    places = np.asarray(indices, np.int64).tolist()
    unread = [place for place in dict.fromkeys(places) if place not in self._kept]
    fresh: dict[int, Record] = {}
    for place, raw in zip(unread, self._shards.read(unread), strict=True):
      fresh[place] = self._parse(raw)
      if self._room >= len(raw):  # Threads may keep a little more than there is room for.
        self._room -= len(raw)
        self._kept[place] = fresh[place]
    return [fresh[place] if place in fresh else self._kept[place] for place in places]


class TextStore:
  """The texts of one prepared dataset, by split and position.

  Attributes:
    directory: the folder.
    manifest: the folder's manifest.json.
    splits: name -> number of texts.
  """

  def __init__(self, directory: pathlib.Path, manifest: dict[str, Any]):
    self.directory = directory
    self.manifest = manifest
    self.splits: dict[str, int] = {
        name: split["texts"] for name, split in manifest["splits"].items()}
    self._texts = {
        name: Parsed(
            _open_shards(directory, [f for f in manifest["files"] if f.get("split") == name]),
            record_format.parse_text,
            _KEPT_TEXTS,
        )
        for name in self.splits
    }

  @classmethod
  def open(cls, directory: str | pathlib.Path) -> "TextStore":
    """Raises `UserError` where there is no finished texts folder."""
    directory = pathlib.Path(directory)
    manifest = record_format.finished_manifest(directory)
    if manifest["kind"] != "texts":
      raise UserError(f"{directory}: holds {manifest['kind']}, not texts: give a task's folder")
    return cls(directory, manifest)

  def media_index(self, split: str) -> np.ndarray:
    """[n] int64: each text's record in the family's media, -1 where its video is not there."""
    path = self.directory / record_format.media_index_name(self._known(split))
    try:
      return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
      raise _damaged(path, error) from None

  def video_ids(self, split: str) -> list[str]:
    """The video of every text, without reading the records."""
    return _read_ids(self.directory / record_format.video_ids_name(self._known(split)))

  def read(self, split: str, indices: Sequence[int] | np.ndarray) -> list[TextRecord]:
    """The texts at `indices` of a split; thread-safe.

    Raises:
      IndexError: an index outside the split.
      UserError: an unknown split, or a damaged file.
    """
    return self._texts[self._known(split)].read(indices)

  def _known(self, split: str) -> str:
    if split not in self.splits:
      raise UserError(f"{self.directory}: no split {split!r}: there are {', '.join(self.splits)}")
    return split


class MediaStore:
  """The videos of a family, by position.

  Attributes:
    manifest: the folder's manifest.json.
    kind: "jpeg" or "features".
    feature_width: F, or None for "jpeg".
    shards: the records as they are stored.
  """

  def __init__(self, directory: pathlib.Path, manifest: dict[str, Any]):
    self._directory = directory
    self.manifest = manifest
    self.kind: str = manifest["kind"]
    self.feature_width: int | None = manifest["feature_width"]
    self.shards = _open_shards(directory, [f for f in manifest["files"] if "records" in f])
    parse = functools.partial(_parse_media, feature_width=self.feature_width)
    self._media = Parsed(self.shards, parse, _KEPT_MEDIA)

  @classmethod
  def open(cls, directory: str | pathlib.Path) -> "MediaStore":
    """Raises `UserError` where there is no finished media folder."""
    directory = pathlib.Path(directory)
    manifest = record_format.finished_manifest(directory)
    if manifest["kind"] not in ("jpeg", "features"):
      raise UserError(f"{directory}: holds {manifest['kind']}, not media: give a media folder")
    return cls(directory, manifest)

  def __len__(self) -> int:
    return len(self.shards)

  def video_ids(self) -> list[str]:
    """The id of every record."""
    return _read_ids(self._directory / record_format.VIDEO_IDS)

  def read(self, indices: Sequence[int] | np.ndarray) -> list[Media]:
    """Times, and JPEG frames or float16 features `[n, F]`, at `indices`; thread-safe.

    Not to be written to: what was read is kept.

    Raises:
      IndexError: an index outside [0, len).
      UserError: a damaged file.
    """
    return self._media.read(indices)


def _parse_media(raw: bytes, feature_width: int | None) -> Media:
  return record_format.parse_media(raw, feature_width)[1]
