"""A family's media: records, shards that are only ever added, and what is refused."""

import json
import os
import pathlib
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from mla_jax.data import prepare_media, record_format, record_writer
from mla_jax.data.annotations.schema import Video
from mla_jax.data.media import find_media
from mla_jax.data.records import MediaStore
from mla_jax.errors import UserError
from tests.data import video_files
from tests.data.media_folders import WIDTH, add, digests, write_features


def test_records_hold_what_the_files_held(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 10)
  result = add(tmp_path / "out", tmp_path / "in", frame_rate=2.0)
  assert result.added == 10
  store = MediaStore.open(tmp_path / "out")
  assert (len(store), store.kind, store.feature_width) == (10, "features", WIDTH)
  assert store.video_ids() == [f"v{i:03d}" for i in range(10)]
  for i, raw in enumerate(store.shards.read(range(10))):
    video_id, media = record_format.parse_media(raw, WIDTH)
    assert video_id == f"v{i:03d}" and result.index[video_id] == i
    np.testing.assert_array_equal(media.payload, np.load(tmp_path / "in" / f"{video_id}.npy"))
    np.testing.assert_allclose(media.time, np.arange(1 + i % 4) / 2)
  assert store.manifest["frames"] == sum(1 + i % 4 for i in range(10))


def test_a_second_dataset_only_adds_its_new_videos(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 12)
  first = [f"v{i:03d}" for i in (1, 3, 5, 7, 9)]
  add(tmp_path / "out", tmp_path / "in", first)
  before = digests(tmp_path / "out")
  result = add(tmp_path / "out", tmp_path / "in", [f"v{i:03d}" for i in range(9)])
  assert result.added == 5
  ids = MediaStore.open(tmp_path / "out").video_ids()
  assert ids == first + [f"v{i:03d}" for i in (0, 2, 4, 6, 8)]
  after = digests(tmp_path / "out")
  assert {n: d for n, d in after.items() if n in before and ".array_record" in n} == {
    n: d for n, d in before.items() if ".array_record" in n
  }
  assert add(tmp_path / "out", tmp_path / "in", first).added == 0
  assert digests(tmp_path / "out") == after


def test_a_mended_or_found_video_is_added_later(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 5, broken=(1,))
  names = [f"v{i:03d}" for i in range(6)]
  add(tmp_path / "out", tmp_path / "in", names)
  manifest = MediaStore.open(tmp_path / "out").manifest
  assert (list(manifest["broken"]), list(manifest["missing"])) == (["v001"], ["v005"])
  write_features(tmp_path / "in", 6)
  assert add(tmp_path / "out", tmp_path / "in", names, skip_broken=False).added == 2
  manifest = MediaStore.open(tmp_path / "out").manifest
  assert manifest["broken"] == manifest["missing"] == {}


def test_videos_already_prepared_are_not_missing(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 5)
  add(tmp_path / "out", tmp_path / "in")
  (tmp_path / "in" / "v001.npy").unlink()
  names = [f"v{i:03d}" for i in range(5)]
  assert add(tmp_path / "out", tmp_path / "in", names, skip_broken=False).missing == {}


def test_broken_and_missing_videos_stop_the_run(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 9, broken=(0, 2, 3, 5, 7))
  with pytest.raises(UserError, match=r"1 of 10 videos not found: v9 \(no file named v9.\*\)"):
    add(
      tmp_path / "out", tmp_path / "in", [f"v{i:03d}" for i in range(9)] + ["v9"], skip_broken=False
    )
  assert not (tmp_path / "out").exists()
  with pytest.raises(
    UserError, match=r"5 of 9 videos broken: v000 \(holds NaN.*v003.*\.\.\.: .*--skip_broken"
  ):
    add(tmp_path / "out", tmp_path / "in", skip_broken=False)
  with pytest.raises(UserError, match="did not finish"):
    MediaStore.open(tmp_path / "out")


def test_only_broken_videos_are_an_error(tmp_path: pathlib.Path) -> None:
  video_files.write_video(tmp_path / "in" / "a.mp4")
  video_files.truncate(tmp_path / "in" / "a.mp4")
  with pytest.raises(UserError, match="no video could be read: a: truncated or not a video"):
    add(tmp_path / "out", tmp_path / "in")


@pytest.mark.parametrize(
  ("chosen", "message"),
  [
    ({"frame_rate": 3.0}, "frame_rate 2.0, not 3.0"),
    ({"short_side": 64}, "short_side 128, not 64"),
    ({"jpeg_quality": 50}, "jpeg_quality 90, not 50"),
    ({"max_frames": 2}, "max_frames 0, not 2"),
  ],
)
def test_other_settings_are_refused(
  tmp_path: pathlib.Path, chosen: dict[str, float], message: str
) -> None:
  video_files.write_video(tmp_path / "in" / "a.mp4", 3)
  add(tmp_path / "out", tmp_path / "in")
  before = digests(tmp_path / "out")
  with pytest.raises(UserError, match=message):
    add(tmp_path / "out", tmp_path / "in", **chosen)
  assert digests(tmp_path / "out") == before


def test_another_kind_of_media_is_refused(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "features", 3)
  add(tmp_path / "out", tmp_path / "features")
  video_files.write_video(tmp_path / "in" / "v000.mp4", 3)
  with pytest.raises(UserError, match="source features, not video"):
    add(tmp_path / "out", tmp_path / "in")


def test_features_of_another_width_are_broken(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 3)
  add(tmp_path / "out", tmp_path / "in")
  np.save(tmp_path / "in" / "w.npy", np.zeros((2, WIDTH + 1), np.float16))
  result = add(tmp_path / "out", tmp_path / "in")
  assert result.broken == {"w": f"width {WIDTH + 1}, the others have {WIDTH}"}


@pytest.mark.parametrize(
  "chosen", [{"frame_rate": 0.0}, {"short_side": 0}, {"jpeg_quality": 101}, {"max_frames": -1}]
)
def test_settings_out_of_range(tmp_path: pathlib.Path, chosen: dict[str, float]) -> None:
  write_features(tmp_path / "in", 1)
  with pytest.raises(UserError, match="must"):
    add(tmp_path / "out", tmp_path / "in", **chosen)


def test_a_full_disk_is_found_at_the_start(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 20))
  record_writer.check_out(tmp_path / "out", 1 << 20)
  with pytest.raises(UserError, match="disk full: 100 MB free, about 1064 MB needed"):
    record_writer.check_out(tmp_path / "out", 1000 << 20)


def test_an_unwritable_folder_is_found_at_the_start(tmp_path: pathlib.Path) -> None:
  (tmp_path / "file").touch()
  with pytest.raises(UserError, match=r"cannot be written .*: give another --out"):
    record_writer.check_out(tmp_path / "file" / "out", 0)
  if os.geteuid() != 0:  # Root may write anywhere.
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot be written"):
      record_writer.check_out(tmp_path / "out", 0)


def test_a_changed_manifest_is_refused(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 3)
  add(tmp_path / "out", tmp_path / "in")
  path = tmp_path / "out" / record_format.MANIFEST
  manifest = json.loads(path.read_text())
  path.write_text(json.dumps(manifest | {"frames": 0}))
  with pytest.raises(UserError, match="changed or damaged"):
    add(tmp_path / "out", tmp_path / "in")
  path.write_text(json.dumps(manifest | {"format": 99}))
  with pytest.raises(UserError, match="format 99, this version reads 1"):
    MediaStore.open(tmp_path / "out")


def test_tfds_opens_the_folder(tmp_path: pathlib.Path) -> None:
  import tensorflow_datasets as tfds

  write_features(tmp_path / "in", 6)
  add(tmp_path / "out", tmp_path / "in")
  source = tfds.builder_from_directory(tmp_path / "out").as_data_source(split="videos")
  assert len(source) == 6
  assert source[5]["video_id"] == b"v005"
  assert source[5]["features"].dtype == np.float16
  np.testing.assert_array_equal(source[5]["features"], np.load(tmp_path / "in" / "v005.npy"))

  video_files.write_video(tmp_path / "videos" / "a.mp4", 20)
  add(tmp_path / "jpeg", tmp_path / "videos")
  source = tfds.builder_from_directory(tmp_path / "jpeg").as_data_source(split="videos")
  assert [frame.shape for frame in source[0]["frames"]] == 4 * [(48, 64, 3)]


def test_features_take_two_bytes_a_value(tmp_path: pathlib.Path) -> None:
  values = np.random.default_rng(0).standard_normal((50, 1000)).astype(np.float16)
  media = record_format.Media(50.0, np.arange(50, dtype=np.float32), values)
  assert len(record_format.serialise_media("v", media)) < 2 * values.size + 400


def test_expected_bytes_are_near_the_truth(tmp_path: pathlib.Path) -> None:
  write_features(tmp_path / "in", 4)
  found = find_media(tmp_path / "in", [Video(f"v{i:03d}", (f"v{i:03d}",)) for i in range(4)])
  assert prepare_media.expected_bytes(found) == sum(
    path.stat().st_size for path in (tmp_path / "in").iterdir()
  )
