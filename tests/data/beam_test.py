"""Prepared by a Beam pipeline: the very same files, whatever order, repetition or interruption."""

from collections.abc import Callable, Sequence
import dataclasses
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from mla_jax.data import annotations, beam_tasks, media_folder, prepare_dataset, workers
from mla_jax.data.beam_tasks import Beam
from mla_jax.data.records import MediaStore
from mla_jax.errors import UserError
from tests import extras, tiny
from tests.data import video_files
from tests.data.annotations import layouts
from tests.data.media_folders import WIDTH, add, digests, write_features

_ROOT = pathlib.Path(__file__).parents[2]


class _Stopped(BaseException):
  """Not an Exception: nothing may catch it and tidy up."""


@dataclasses.dataclass(frozen=True)
class _Here(Beam):
  """Runs the tasks here: backwards, each twice, and stops after `most` of them."""

  most: int = 10**9

  def options(self) -> None:
    pass

  def run(self, name: str, task: Callable[[Any], None], elements: Sequence[Any]) -> None:
    for count, element in enumerate([e for e in reversed(elements) for _ in range(2)]):
      if count == self.most:
        raise _Stopped
      task(element)


def _reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
  """Names of the files read from now on."""
  read: list[str] = []

  def reading(file: Any, settings: Any, real: Callable = workers.read_media) -> Any:
    read.append(os.path.basename(file.path))
    return real(file, settings)

  monkeypatch.setattr(workers, "read_media", reading)
  return read


@pytest.mark.parametrize("broken", [(), (2, 9), (0, 1, 2, 3, 15)])
def test_features_give_the_same_bytes(tmp_path: pathlib.Path, broken: tuple[int, ...]) -> None:
  write_features(tmp_path / "in", 18, broken=broken)
  names = [f"v{i:03d}" for i in range(20)]  # The last two are missing.
  one = add(tmp_path / "whole", tmp_path / "in", names)
  two = add(tmp_path / "beam", tmp_path / "in", names, beam=_Here())
  assert (one.index, one.added, one.missing) == (two.index, two.added, two.missing)
  assert list(one.broken.items()) == list(two.broken.items())
  assert len(one.broken) == len(broken)
  assert digests(tmp_path / "beam") == digests(tmp_path / "whole")


def test_videos_give_the_same_bytes(tmp_path: pathlib.Path) -> None:
  for i in range(5):
    video_files.write_video(tmp_path / "in" / f"v{i}.mp4", 10 + i)
  (tmp_path / "in" / "v3.mp4").write_bytes(b"")
  add(tmp_path / "whole", tmp_path / "in")
  assert add(tmp_path / "beam", tmp_path / "in", beam=_Here()).broken == {"v3": "empty file"}
  assert digests(tmp_path / "beam") == digests(tmp_path / "whole")


def test_a_second_dataset_only_adds_shards(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 18)
  names = [f"v{i:03d}" for i in range(18)]
  for out, beam in (("whole", None), ("beam", _Here())):
    add(tmp_path / out, tmp_path / "in", names[::3], beam=beam)
    assert add(tmp_path / out, tmp_path / "in", names, beam=beam).added == 12
  assert digests(tmp_path / "beam") == digests(tmp_path / "whole")


@pytest.mark.parametrize("most", [0, 1, 4, 7])
def test_interrupted_parts_are_not_read_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
  write_features(tmp_path / "in", 16, broken=(2, 9))
  add(tmp_path / "whole", tmp_path / "in")
  with pytest.raises(_Stopped):
    add(tmp_path / "out", tmp_path / "in", beam=_Here(most=most))
  read = _reads(monkeypatch)
  add(tmp_path / "out", tmp_path / "in", beam=_Here())
  assert digests(tmp_path / "out") == digests(tmp_path / "whole")
  # Each task is run twice, backwards; what was broken is always tried again.
  done = 4 * ((most + 1) // 2)
  sound = [name for name in read if name not in ("v002.npy", "v009.npy")]
  kept = {f"v{i:03d}.npy" for i in range(16 - done, 16)}
  assert not kept & set(sound)
  assert len(sound) == len(set(sound)) == 14 - len(kept - {"v002.npy", "v009.npy"})


@pytest.mark.parametrize("moved", [0, 1, 3])
def test_interrupted_among_the_moves(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
  write_features(tmp_path / "in", 18, broken=(5,))
  add(tmp_path / "whole", tmp_path / "in")
  count = 0

  def take(self: Any, *args: Any, real: Callable = media_folder.MediaFolder.take_shard) -> None:
    nonlocal count
    if count == moved:
      raise _Stopped
    count += 1
    real(self, *args)

  with monkeypatch.context() as patch:
    patch.setattr(media_folder.MediaFolder, "take_shard", take)
    with pytest.raises(_Stopped):
      add(tmp_path / "out", tmp_path / "in", beam=_Here())
  read = _reads(monkeypatch)
  add(tmp_path / "out", tmp_path / "in", beam=_Here())
  assert set(read) == {"v005.npy"}
  assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_a_broken_video_stops_it_until_it_is_mended(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  write_features(tmp_path / "in", 16, broken=(6,))
  with pytest.raises(UserError, match=r"1 of 16 videos broken: v006 \(holds NaN or infinity\)"):
    add(tmp_path / "out", tmp_path / "in", beam=_Here(), skip_broken=False)
  np.save(tmp_path / "in" / "v006.npy", np.zeros((2, WIDTH), np.float16))
  read = _reads(monkeypatch)
  add(tmp_path / "out", tmp_path / "in", beam=_Here(), skip_broken=False)
  assert set(read) == {f"v{i:03d}.npy" for i in range(4, 8)}
  add(tmp_path / "whole", tmp_path / "in")
  assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_another_list_or_setting_starts_anew(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 16)
  with pytest.raises(_Stopped):
    add(tmp_path / "out", tmp_path / "in", beam=_Here(most=4))
  names = [f"v{i:03d}" for i in range(0, 16, 2)]
  add(tmp_path / "out", tmp_path / "in", names, beam=_Here(), shard_videos=3)
  add(tmp_path / "whole", tmp_path / "in", names, shard_videos=3)
  assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def _prepare(root: pathlib.Path, out: str, beam: Beam | None) -> dict[str, str]:
  for dataset in tiny.MSRVTT:
    prepare_dataset.prepare(prepare_dataset.Options(
        dataset, str(root / "annotations"), str(root / out), media=str(root / "features"),
        family="msrvtt", num_workers=1, shard_videos=4, vocab_size=80, skip_broken=True, beam=beam))
  return digests(root / out)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
  tiny.write_annotations(tmp_path / "annotations", videos=12)
  tiny.write_features(tmp_path / "features", videos=12)
  (tmp_path / "features" / "video3.npy").write_bytes(b"")
  return tmp_path


def test_whole_datasets_give_the_same_bytes(root: pathlib.Path) -> None:
  assert _prepare(root, "beam", _Here()) == _prepare(root, "whole", None)


def _prepare_pretraining(
    root: pathlib.Path, dataset: str, family: str, out: str, beam: Beam | None
) -> dict[str, str]:
  prepare_dataset.prepare(prepare_dataset.Options(
      dataset, str(root / "in"), str(root / out), media=str(root / "media"), frame_rate=1.0,
      num_workers=1, shard_videos=2, vocab_size=60, beam=beam))
  assert (root / out / family).is_dir()
  return digests(root / out)


def _write_counted_seconds(root: pathlib.Path, dataset: str) -> None:
  """A layout, and for each of its files features in which second i is the number i."""
  (root / "in").mkdir()
  layouts.write(dataset, root / "in")
  for video in annotations.read(dataset, root / "in").videos:
    source = video.source_names[1] if video.source_names else video.media_names[0]
    path = root / "media" / f"{source}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.repeat(np.arange(100, dtype=np.float16)[:, None], WIDTH, axis=1))


_PRETRAINING = [("webvid_retrieval", "webvid"), ("howto100m", "howto100m")]


@pytest.mark.parametrize(("dataset", "family"), _PRETRAINING)
def test_what_models_are_pretrained_on(tmp_path: pathlib.Path, dataset: str, family: str) -> None:
  _write_counted_seconds(tmp_path, dataset)
  whole = _prepare_pretraining(tmp_path, dataset, family, "whole", None)
  assert _prepare_pretraining(tmp_path, dataset, family, "beam", _Here()) == whole
  store = MediaStore.open(tmp_path / "beam" / family / "media")
  seconds = {
      name: np.asarray(video.payload)[:, 0].tolist()
      for name, video in zip(store.video_ids(), store.read(range(len(store))), strict=True)
  }
  if family == "howto100m":  # Clips of 32 seconds of one file each.
    assert seconds["nVbIUDjzWY4_0_32"] == list(range(32))
    assert seconds["nVbIUDjzWY4_64_96"] == list(range(64, 96))
  else:
    assert seconds["11111"] == list(range(100))
  assert len(seconds) == len(annotations.read(dataset, tmp_path / "in").videos)


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "family"), _PRETRAINING)
def test_what_models_are_pretrained_on_by_the_direct_runner(
    tmp_path: pathlib.Path, dataset: str, family: str
) -> None:
  _beam()
  _write_counted_seconds(tmp_path, dataset)
  whole = _prepare_pretraining(tmp_path, dataset, family, "whole", None)
  assert _prepare_pretraining(tmp_path, dataset, family, "beam", Beam()) == whole


def test_without_beam_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setitem(sys.modules, "apache_beam", None)
  with pytest.raises(UserError, match=r"--runner: Apache Beam is not installed: install mla_jax"):
    Beam().run("media", print, [1])


def test_the_list_is_read_part_by_part(tmp_path: pathlib.Path) -> None:
  lines = [["é" * (i % 3), float("inf"), i] for i in range(10)]
  parts = beam_tasks.write_list(tmp_path, {"a": (1,)}, lines, 4)
  assert [beam_tasks.read_part(tmp_path, part, 4) for part in parts] == [
      lines[:4], lines[4:8], lines[8:]]
  (tmp_path / "done").touch()
  assert beam_tasks.write_list(tmp_path, {"a": (1,)}, lines, 4) == parts
  assert (tmp_path / "done").exists()
  beam_tasks.write_list(tmp_path, {"a": (1,)}, lines[1:], 4)
  assert sorted(path.name for path in tmp_path.iterdir()) == ["list.jsonl", "plan.json"]


def _beam() -> None:
  extras.need("apache_beam", "beam")


@pytest.mark.slow
def test_the_direct_runner_gives_the_same_bytes(root: pathlib.Path) -> None:
  _beam()
  assert _prepare(root, "beam", Beam()) == _prepare(root, "whole", None)


@pytest.mark.slow
def test_the_command_on_two_processes(root: pathlib.Path) -> None:
  _beam()
  arguments = ["msrvtt_retrieval", f"--annotations={root}/annotations", f"--media={root}/features",
               "--vocab_size=80", "--skip_broken", "--shard_videos=4", "--workers=1"]
  beam = ["--runner=DirectRunner", "--beam_flag=--direct_running_mode=multi_processing",
          "--beam_flag=--direct_num_workers=2"]
  for out, more in (("beam", beam), ("whole", [])):
    done = subprocess.run(
        [sys.executable, "-m", "mla_jax.prepare", *arguments, f"--out={root}/{out}", *more],
        capture_output=True, text=True, timeout=300, check=False, cwd=_ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    assert done.returncode == 0, done.stderr
    assert "11 of 12 videos found, 0 missing, 1 broken" in done.stdout
  assert digests(root / "beam") == digests(root / "whole")


def _fail(number: int) -> None:
  raise OSError(28, f"No space left for {number}")


@pytest.mark.slow
def test_a_task_that_fails_is_one_line() -> None:
  _beam()
  with pytest.raises(UserError, match=r"OSError: .*No space left for 7: mend it") as caught:
    Beam().run("media", _fail, [7])
  assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(("beam", "message"), [
    (Beam("NoRunner"), "--runner=NoRunner: Unexpected pipeline runner"),
    (Beam("nowhere.NoRunner"), "--runner=nowhere.NoRunner: "),
    (Beam(flags=("--direct_num_workers=x",)), "--beam_flag: argument --direct_num_workers: inval"),
])
def test_a_mistake_in_the_flags_is_one_line(beam: Beam, message: str) -> None:
  _beam()
  with pytest.raises(UserError, match=message) as caught:
    beam.options()
  assert "\n" not in str(caught.value)


def test_beams_flags_need_a_runner(tmp_path: pathlib.Path) -> None:
  done = subprocess.run(
      [sys.executable, "-m", "mla_jax.prepare", "msrvtt_qa", "--annotations=a",
       f"--out={tmp_path}/out", "--beam_flag=--x"],
      capture_output=True, text=True, timeout=120, check=False, cwd=_ROOT)
  assert done.returncode == 1
  assert done.stderr.splitlines()[-1].startswith("error: --beam_flag: there is no --runner")
