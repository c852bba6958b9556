"""prepare as the user calls it: the counts it prints, one line for a mistake, real data."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from mla_jax.data import annotations, prepare_dataset, record_format, text_fields, verify_dataset
from mla_jax.data.prepare_dataset import Options
from mla_jax.data.records import MediaStore, TextStore
from mla_jax.errors import UserError
from tests import tiny
from tests.data.annotations import layouts
from tests.data.media_folders import digests

_ROOT = pathlib.Path(__file__).parents[1]


def _prepare(root: pathlib.Path, dataset: str, **options: object) -> None:
  chosen: dict[str, object] = {
    "annotations": str(root / "annotations"),
    "media": str(root / "features"),
    "out": str(root / "out"),
    "num_workers": 1,
    "vocab_size": 80,
  }
  prepare_dataset.prepare(Options(dataset, **(chosen | options)))


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
  tiny.write_annotations(tmp_path / "annotations", videos=12)
  tiny.write_features(tmp_path / "features", videos=12)
  return tmp_path


def test_questions_after_retrieval_add_no_frame(
  root: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  _prepare(root, "msrvtt_retrieval")
  assert "media: 12 videos added, 0 already there; 12 of 12 videos found" in capsys.readouterr().out
  before = digests(root / "out" / "msrvtt" / "media")
  _prepare(root, "msrvtt_qa")
  out = capsys.readouterr().out
  assert "media: 0 videos added, 12 already there; 12 of 12 videos found, 0 missing" in out
  assert digests(root / "out" / "msrvtt" / "media") == before
  assert "ceiling, all " in out
  retrieval, questions = (TextStore.open(root / "out/msrvtt" / t) for t in ("retrieval", "qa"))
  ids = MediaStore.open(root / "out/msrvtt/media").video_ids()
  for store, split in ((retrieval, "train"), (questions, "val")):
    records = store.read(split, range(store.splits[split]))
    assert [ids[record.media_index] for record in records] == store.video_ids(split)


def test_texts_alone_point_nowhere_or_to_the_familys_media(
  root: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  _prepare(root, "msrvtt_retrieval", media=None)
  store = TextStore.open(root / "out/msrvtt/retrieval")
  assert set(store.media_index("train")) == {-1}
  assert not (root / "out/msrvtt/media").exists()
  assert "0 of 12 videos found, 0 missing" in capsys.readouterr().out
  _prepare(root, "msrvtt_qa")
  _prepare(root, "timed_captions", media=None, family="msrvtt")
  store = TextStore.open(root / "out/msrvtt/timed_captions")
  assert min(store.media_index("train")) >= 0


def test_missing_videos_are_counted_and_their_texts_kept(
  root: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  (root / "features/video1.npy").unlink()
  np.save(root / "features/video2.npy", np.full((2, tiny.FEATURES), np.nan, np.float16))
  with pytest.raises(UserError, match=r"1 of 12 videos not found: video1 .*--skip_broken"):
    _prepare(root, "msrvtt_retrieval")
  assert not list((root / "out").rglob("*.array_record*"))
  _prepare(root, "msrvtt_retrieval", skip_broken=True)
  out = capsys.readouterr().out
  assert "missing: video1: no file named video1.*" in out
  assert "broken: video2: holds NaN or infinity" in out
  assert "10 of 12 videos found, 1 missing, 1 broken" in out
  store = TextStore.open(root / "out/msrvtt/retrieval")
  assert store.splits["train"] == 27
  assert store.manifest["splits"]["train"]["texts_without_media"] == 6


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
    [sys.executable, "-m", module, *arguments],
    capture_output=True, text=True, timeout=120, check=False, cwd=_ROOT,
    env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
  )  # fmt: skip


def test_the_commands(root: pathlib.Path) -> None:
  out = str(root / "out")
  done = _run(
    "mla_jax.prepare", "msrvtt_retrieval", f"--annotations={root}/annotations",
    f"--media={root}/features", f"--out={out}", "--workers=2", "--vocab_size=80",
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert "media: 12 videos added" in done.stdout
  assert done.stdout.splitlines()[-1].startswith(f"prepared: {out}/msrvtt/retrieval (")
  shard = next((root / "out/msrvtt/media").glob("*.array_record-00000"))
  shard.write_bytes(shard.read_bytes()[:-1])
  done = _run("mla_jax.verify", out)
  assert done.returncode == 1
  assert [line.split()[0] for line in done.stdout.splitlines()] == ["DAMAGED", "ok"]
  assert "error: 1 of 2 datasets damaged" in done.stderr


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ([], "usage: python -m mla_jax.prepare DATASET"),
    (["msrvtt_retrievel", "--annotations=.", "--out=out"], "did you mean 'msrvtt_retrieval'?"),
    (["msrvtt_qa", "--annotations=nowhere", "--out=out"], "nowhere: no such folder"),
  ],
)
def test_a_mistake_is_one_line(tmp_path: pathlib.Path, arguments: list[str], message: str) -> None:
  arguments = [a.replace("=out", f"={tmp_path}/out") for a in arguments]
  done = _run("mla_jax.prepare", *arguments)
  assert done.returncode == 1
  lines = [line for line in done.stderr.splitlines() if line]
  assert lines[-1].startswith("error: ")
  assert message in lines[-1]
  assert "Traceback" not in done.stderr
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["../evil", "a/b", "Big", ""])
def test_a_family_is_a_plain_name(root: pathlib.Path, family: str) -> None:
  with pytest.raises(UserError, match="--family="):
    _prepare(root, "msrvtt_retrieval", family=family)
  assert not (root / "out").exists()


def test_an_output_that_is_a_file(root: pathlib.Path) -> None:
  (root / "out").touch()
  with pytest.raises(UserError, match="cannot be written"):
    _prepare(root, "msrvtt_retrieval")


def _reduced(source: pathlib.Path, target: pathlib.Path, count: int) -> set[str]:
  """An MSRVTT_data.json with the first `count` videos of every split."""
  data = json.loads((source / "MSRVTT_data.json").read_text())
  by_split: dict[str, list[dict]] = {}
  for video in data["videos"]:
    by_split.setdefault(video["split"], []).append(video)
  videos = [video for split in by_split.values() for video in split[:count]]
  names = {video["video_id"] for video in videos}
  sentences = [s for s in data["sentences"] if s["video_id"] in names]
  target.mkdir()
  content = data | {"videos": videos, "sentences": sentences}
  (target / "MSRVTT_data.json").write_text(json.dumps(content))
  return names


@pytest.mark.parametrize(("media", "kind"), [("features", "features"), ("frames", "jpeg")])
def test_real_msrvtt(
  real_data: pathlib.Path, tmp_path: pathlib.Path, media: str, kind: str
) -> None:
  names = _reduced(real_data / "msrvtt_mini", tmp_path / "annotations", 15)
  _prepare(tmp_path, "msrvtt_retrieval", media=str(real_data / "msrvtt_mini" / media))
  verify_dataset.verify(tmp_path / "out")
  store = MediaStore.open(tmp_path / "out/msrvtt/media")
  assert store.kind == kind
  assert sorted(store.video_ids()) == sorted(names)
  texts = TextStore.open(tmp_path / "out/msrvtt/retrieval")
  assert texts.splits["train"] == 300
  record = texts.read("train", [7])[0]
  width = store.feature_width
  video_id, content = record_format.parse_media(store.shards.read([record.media_index])[0], width)
  assert video_id == record.video_id
  features = np.load(real_data / "msrvtt_mini/features" / f"{video_id}.npy")
  assert len(content.time) == len(features)
  if kind == "features":
    np.testing.assert_array_equal(content.payload, features)


def test_real_msvd_questions_with_nine_of_their_videos(
  real_data: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  options = {
    "annotations": str(real_data / "annotations/msvd_qa"),
    "media": str(real_data / "msvd_clips"),
    "vocab_size": 1000,
  }
  with pytest.raises(UserError, match="1961 of 1970 videos not found"):
    _prepare(tmp_path, "msvd_qa", **options)
  _prepare(tmp_path, "msvd_qa", skip_broken=True, **options)
  out = capsys.readouterr().out
  assert "media: 9 videos added, 0 already there; 9 of 1970 videos found, 1961 missing" in out
  rows = {line.split("  ")[0]: line.split() for line in out.splitlines()}
  assert rows["test questions"][2:] == ["13,157", "13,157"]
  assert "ceiling, all 1,852 answers" in out
  assert rows["test"][-4:] == ["94.08", "%", "91.08", "%"]
  verify_dataset.verify(tmp_path / "out")


@pytest.mark.parametrize("dataset", [
  "tgif_qa_action", "tgif_qa_count", "nextqa_oe", "tvqa", "msrvtt_mc", "didemo_retrieval",
  "qvhighlights",
])  # fmt: skip
def test_every_shape_of_text_is_prepared_and_read_back(
  dataset: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  (tmp_path / "annotations").mkdir()
  layouts.write(dataset, tmp_path / "annotations")
  read = annotations.read(dataset, tmp_path / "annotations")
  _prepare(tmp_path, dataset, media=None, vocab_size=200)
  out = capsys.readouterr().out
  assert f"licence: {read.licence}\n" in out
  assert all(f"note: {note}\n" in out for note in read.notes)
  verify_dataset.verify(tmp_path / "out")
  store = TextStore.open(tmp_path / "out" / read.family / read.task)
  assert (store.manifest["licence"], store.manifest["leakage"]) == (read.licence, read.leakage)
  records = {r.item_id: r for name, count in store.splits.items()
             for r in store.read(name, range(count))}  # fmt: skip
  assert list(records) == [item.item_id for item in read.items]
  for item in read.items:
    record = records[item.item_id]
    for name in ("video_id", "text", "answer", "question_type", *text_fields.FIELDS):
      assert repr(getattr(record, name)) == repr(getattr(item, name)), name


def test_videos_lie_where_nexts_map_says(
  tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  (tmp_path / "annotations").mkdir()
  layouts.write("nextqa", tmp_path / "annotations")
  for name in ("1106/4010069381", "0024/2435100235"):
    path = tmp_path / "features" / f"{name}.npy"
    path.parent.mkdir(parents=True)
    np.save(path, np.zeros((3, 4), np.float16))
  _prepare(tmp_path, "nextqa", vocab_size=200)
  assert "2 of 2 videos found, 0 missing" in capsys.readouterr().out


def test_of_a_didemo_video_thirty_seconds_count(tmp_path: pathlib.Path) -> None:
  (tmp_path / "annotations").mkdir()
  layouts.write("didemo_localisation", tmp_path / "annotations")
  (tmp_path / "features").mkdir()
  features = np.arange(45, dtype=np.float16)[:, None]
  np.save(tmp_path / "features" / "10149286@N00_5135045216_643d0b0a92.npy", features)
  _prepare(tmp_path, "didemo_localisation", skip_broken=True, vocab_size=200)
  store = MediaStore.open(tmp_path / "out" / "didemo" / "media")
  assert store.video_ids() == ["10149286@N00_5135045216_643d0b0a92"]
  media = store.read([0])[0]
  assert (len(media.time), media.duration) == (30, 30.0)
