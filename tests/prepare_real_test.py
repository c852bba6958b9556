"""Real annotation files, prepared with no media at all: what is written has the official sizes."""

import json
import pathlib

import pytest

from mla_jax.data import prepare_dataset
from mla_jax.data.records import TextStore

_ACTIVITYNET = {
    "2dtan_train.json.gz": "train.json.gz", "2dtan_val.json": "val_1.json",
    "2dtan_test.json": "val_2.json",
}
_DIDEMO = {f"ce_{split}_list.txt": f"{split}_list.txt" for split in ("train", "val", "test")}
# Dataset, folder, names that differ from the official ones, and texts of each split.
SETS = [
    ("charades_sta", "charades_sta", {}, {"train": 12404, "test": 3720}),
    ("msvd_qa", "msvd_qa", {}, {"train": 30933, "val": 6415, "test": 13157}),
    ("nextqa", "nextqa", {}, {"val": 4996}),
    ("didemo_localisation", "didemo", _DIDEMO, {"val": 4180, "test": 4021}),
    ("didemo_retrieval", "didemo", _DIDEMO, {"val": 1065, "test": 1004}),
    ("activitynet_retrieval", "activitynet_captions", _ACTIVITYNET,
     {"train": 10009, "val_1": 4917, "val_2": 4885}),
    ("activitynet_localisation", "activitynet_captions", _ACTIVITYNET,
     {"train": 37417, "val_1": 17505, "val_2": 17031}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "folder", "names", "texts"), SETS, ids=[dataset for dataset, *_ in SETS]
)
def test_prepared_without_media(
    dataset: str,
    folder: str,
    names: dict[str, str],
    texts: dict[str, int],
    real_data: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
  given = tmp_path / "annotations"
  given.mkdir()
  for path in (real_data / "annotations" / folder).iterdir():
    (given / names.get(path.name, path.name)).symlink_to(path)
  out = tmp_path / "out"
  prepare_dataset.prepare(
      prepare_dataset.Options(dataset=dataset, annotations=str(given), out=str(out), num_workers=1))
  (manifest,) = [path for path in out.glob("*/*/manifest.json") if path.parent.name != "media"]
  found = json.loads(manifest.read_text())
  assert all(count["official"] in (None, count["found"]) for count in found["counts"])
  assert {name: split["texts"] for name, split in found["splits"].items()} == texts
  assert all(split["texts_without_media"] == split["texts"] for split in found["splits"].values())
  store = TextStore.open(manifest.parent)
  for split, count in texts.items():
    first, last = store.read(split, [0, count - 1])
    assert first.item_id != last.item_id
    assert len(store.video_ids(split)) == count
