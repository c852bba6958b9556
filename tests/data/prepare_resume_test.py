"""Media interrupted at any moment: the same command again finishes with the same bytes."""

from collections.abc import Callable
import os
import pathlib
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mla_jax.data import record_format, record_writer
from mla_jax.data.records import MediaStore
from mla_jax.errors import UserError
from tests.data import video_files
from tests.data.media_folders import add, digests, write_features


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: pathlib.Path) -> None:
  for i in range(7):
    video_files.write_video(tmp_path / "in" / f"v{i}.mp4", 10 + i)
  (tmp_path / "in" / "v3.mp4").write_bytes(b"")
  for num_workers in (1, 3):
    result = add(tmp_path / str(num_workers), tmp_path / "in", num_workers=num_workers)
    assert result.broken == {"v3": "empty file"}
  assert digests(tmp_path / "1") == digests(tmp_path / "3")


class _Killed(BaseException):
  """Not an Exception: nothing may catch it and tidy up."""


def _kill_after(monkeypatch: pytest.MonkeyPatch, replacements: int) -> None:
  """Stops the run after so many files got their final names."""
  count = 0

  def replace(source: pathlib.Path, target: pathlib.Path) -> None:
    nonlocal count
    if count == replacements:
      raise _Killed
    os.rename(source, target)
    count += 1

  monkeypatch.setattr(
    record_writer,
    "os",
    SimpleNamespace(
      **{name: getattr(os, name) for name in ("open", "close", "fsync", "O_RDONLY")},
      replace=replace,
    ),
  )


@pytest.mark.parametrize("renames", range(9))
def test_interrupted_and_started_again_gives_the_same_bytes(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
  # 14 of 16 videos in shards of 4, the manifest twice, the ids and the two files of TFDS: 9 names.
  write_features(tmp_path / "in", 16, broken=(2, 9))
  names = [f"v{i:03d}" for i in range(17)]  # The last one is missing.
  add(tmp_path / "whole", tmp_path / "in", names)
  with monkeypatch.context() as patch:
    _kill_after(patch, renames)
    with pytest.raises(_Killed):
      add(tmp_path / "out", tmp_path / "in", names)
  if (tmp_path / "out" / record_format.MANIFEST).exists():
    with pytest.raises(UserError, match="did not finish"):
      MediaStore.open(tmp_path / "out")
  result = add(tmp_path / "out", tmp_path / "in", names)
  assert digests(tmp_path / "out") == digests(tmp_path / "whole")
  assert sorted(result.broken) == ["v002", "v009"]
  assert list(result.missing) == ["v016"]


_KILLED_IN_A_SHARD = """
import itertools, os, pathlib, signal, sys
from mla_jax.data import record_writer
from tests.data import media_folders

def kill_in_third_shard(path, records, write=record_writer.write_shard):
  def dying():
    for i, record in enumerate(records):
      if path.name.endswith("00002") and i == 2:
        os.kill(os.getpid(), signal.SIGKILL)
      yield record
  return write(path, dying())

if __name__ == "__main__":
  record_writer.write_shard = kill_in_third_shard
  media, out = map(pathlib.Path, sys.argv[1:])
  media_folders.add(out, media, num_workers=2)
"""


def test_kill_9_inside_a_shard_then_again_gives_the_same_bytes(tmp_path: pathlib.Path) -> None:
  for i in range(14):
    video_files.write_video(tmp_path / "in" / f"v{i:02d}.mp4", 10 + i)
  script = tmp_path / "killed.py"
  script.write_text(_KILLED_IN_A_SHARD)
  root = pathlib.Path(__file__).parents[2]
  done = subprocess.run(
    [sys.executable, script, tmp_path / "in", tmp_path / "out"],
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
    env=os.environ | {"PYTHONPATH": str(root)},
  )
  assert done.returncode == -signal.SIGKILL, done.stderr
  left = set(os.listdir(tmp_path / "out"))
  assert "test_media-videos.array_record-00001" in left
  assert "test_media-videos.array_record-00002.partial" in left
  add(tmp_path / "out", tmp_path / "in", num_workers=1)
  add(tmp_path / "whole", tmp_path / "in")
  assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_finished_shards_are_not_read_again(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  write_features(tmp_path / "in", 16)
  with monkeypatch.context() as patch:
    _kill_after(patch, 3)  # The first manifest and two shards have their names.
    with pytest.raises(_Killed):
      add(tmp_path / "out", tmp_path / "in")
  names = [path.name for path in (tmp_path / "in").iterdir()]
  for name in sorted(names)[:8]:
    (tmp_path / "in" / name).write_bytes(b"would be broken if it were read")
  assert add(tmp_path / "out", tmp_path / "in", skip_broken=False).added == 8


def test_a_disk_that_fills_up_keeps_the_whole_shards(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  write_features(tmp_path / "in", 16)
  add(tmp_path / "whole", tmp_path / "in")

  def write_shard(
    path: pathlib.Path, records: object, write: Callable = record_writer.write_shard
  ) -> int:
    if path.name.endswith("00002"):
      raise OSError(28, "No space left on device")
    return write(path, records)

  with monkeypatch.context() as patch:
    patch.setattr(record_writer, "write_shard", write_shard)
    with pytest.raises(UserError, match="disk full: make room and run the same command again"):
      add(tmp_path / "out", tmp_path / "in")
  assert add(tmp_path / "out", tmp_path / "in").added == 8
  assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_two_runs_do_not_write_at_once(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 3)
  (tmp_path / "out").mkdir()
  with record_writer.writing(tmp_path / "out"), pytest.raises(UserError, match="another prepare"):
    add(tmp_path / "out", tmp_path / "in")
  assert add(tmp_path / "out", tmp_path / "in").added == 3
