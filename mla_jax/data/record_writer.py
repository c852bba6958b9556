"""Writing prepared folders: a file has its final name only when it is whole."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import contextlib
import errno
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any

from array_record.python import array_record_module

from mla_jax import file_locks
from mla_jax.data import record_format
from mla_jax.data.records import open_reader
from mla_jax.errors import UserError

_SPARE_BYTES = 64 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def check_out(directory: pathlib.Path, needed: int) -> None:
  """Makes sure, before any work, that `directory` can be written and has room for `needed` bytes.

  Raises:
    UserError: it is not a folder, cannot be written, or its disk is too full.
  """
  try:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory) as file:
      file.write(b"0")
    free = shutil.disk_usage(directory).free
  except OSError as error:
    raise UserError(
        f"{directory}: cannot be written ({error.strerror}): give another --out") from None
  if free < needed + _SPARE_BYTES:
    raise UserError(
        f"{directory}: disk full: {free >> 20} MB free, about {(needed + _SPARE_BYTES) >> 20} MB"
        " needed: make room or give another --out")


@contextlib.contextmanager
def writing(directory: pathlib.Path) -> Iterator[None]:
  """Holds `directory` against a second writer, and turns a disk that fills up into one line."""
  descriptor = os.open(directory, os.O_RDONLY)
  try:
    if file_locks.try_lock(descriptor) is False:
      raise UserError(f"{directory}: another prepare is writing here: wait for it to end")
    yield
  except OSError as error:
    if error.errno not in _FULL:
      raise
    raise UserError(
        f"{directory}: disk full: make room and run the same command again, whole shards are kept"
    ) from error
  finally:
    os.close(descriptor)


def write_shard(path: pathlib.Path, records: Iterable[bytes]) -> int:
  """Writes an ArrayRecord file, complete or not at all; the same records give the same bytes.

  Returns:
    The number of records.

  Raises:
    OSError: the disk is full or failed.
  """
  partial = path.with_name(path.name + record_format.PARTIAL)
  count = 0
  try:
    writer = array_record_module.ArrayRecordWriter(str(partial), record_format.WRITER_OPTIONS)
    for record in records:
      writer.write(record)
      count += 1
    writer.close()
    reader = open_reader(partial)
    written = reader.num_records()
    reader.close()
  except (RuntimeError, ValueError) as error:
    partial.unlink(missing_ok=True)  # It may be what fills the disk.
    full = shutil.disk_usage(path.parent).free < _SPARE_BYTES
    code = errno.ENOSPC if full else errno.EIO
    raise OSError(code, f"{path.name}: {str(error).splitlines()[0]}") from error
  if written != count:
    raise OSError(errno.EIO, f"{path.name}: {written} of {count} records arrived on disk")
  _move_into_place(partial, path)
  return count


def write_bytes(path: pathlib.Path, content: bytes) -> None:
  """Writes a small file, complete or not at all."""
  partial = path.with_name(path.name + record_format.PARTIAL)
  partial.write_bytes(content)
  _move_into_place(partial, path)


def write_manifest(directory: pathlib.Path, manifest: dict[str, Any]) -> None:
  """Writes what makes a folder a dataset: call it last."""
  content = manifest | {"checksum": record_format.checksum(manifest)}
  text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
  write_bytes(directory / record_format.MANIFEST, text.encode())


def _move_into_place(partial: pathlib.Path, path: pathlib.Path) -> None:
  with partial.open("rb") as file:
    os.fsync(file.fileno())
  os.replace(partial, path)


def remove_partial(directory: pathlib.Path) -> None:
  """Removes what an interrupted run was writing."""
  for path in directory.glob("*" + record_format.PARTIAL):
    if path.is_dir():
      shutil.rmtree(path)
    else:
      path.unlink()


def write_tfds_info(
    directory: pathlib.Path,
    dataset: str,
    features: Any,
    splits: Mapping[str, Sequence[dict[str, Any]]],
) -> list[dict[str, Any]]:
  """Writes the files by which `tfds.builder_from_directory` opens the folder.

  Args:
    directory: where the shards are.
    dataset: the name the shards carry.
    features: a `tfds.features.FeaturesDict`.
    splits: name -> the manifest's entries of its shards (`records`, `bytes`), in order.

  Returns:
    The manifest's entries of the files written.
  """
  import tensorflow_datasets as tfds
  from tensorflow_datasets.core import dataset_info, naming

  identity = dataset_info.DatasetIdentity(
      name=dataset, version=tfds.core.Version("1.0.0"), data_dir=str(directory), module_name="")
  info = dataset_info.DatasetInfo(builder=identity, features=features)
  info.set_file_format("array_record")
  info.set_splits(tfds.core.splits.SplitDict([
      tfds.core.SplitInfo(
          name=name,
          shard_lengths=[entry["records"] for entry in entries],
          num_bytes=sum(entry["bytes"] for entry in entries),
          filename_template=naming.ShardedFileTemplate(
              data_dir=directory, template=record_format.TEMPLATE, dataset_name=dataset, split=name,
              filetype_suffix="array_record"),
      )
      for name, entries in splits.items()
  ]))
  with tempfile.TemporaryDirectory(suffix=record_format.PARTIAL, dir=directory) as temporary:
    info.write_to_directory(temporary)
    for name in record_format.TFDS_FILES:
      _move_into_place(pathlib.Path(temporary) / name, directory / name)
  return [record_format.file_entry(directory / name) for name in record_format.TFDS_FILES]
