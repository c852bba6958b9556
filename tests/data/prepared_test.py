"""Which prepared datasets a config reads."""

import pathlib

from ml_collections import ConfigDict

from mla_jax.data import prepared, record_format
from tests.data import media_folders
from tests.experiments import grid


def test_what_is_evaluated_counts_too(tmp_path: pathlib.Path) -> None:
  grid.prepare(tmp_path, "train")
  data = {"dir": str(tmp_path / "data"), "family": "f", "eval_texts": "t"}
  config = ConfigDict({"data": data, "model": {"use_video": True}})  # Of media there are none.
  assert prepared.evaluated(config) == {"t": "train"}
  config.data.eval_texts = "not there"
  assert prepared.evaluated(config) == {}


def test_media_that_only_grew_are_known_by_every_earlier_fingerprint(
    tmp_path: pathlib.Path,
) -> None:
  """Shards of four videos: 3, 6 more in two shards, one more."""
  folder = tmp_path / "data" / "f" / record_format.MEDIA_FOLDER
  config = ConfigDict({
      "data": {"dir": str(tmp_path / "data"), "family": "f", "sources": {}},
      "model": {"use_video": True},
  })
  media_folders.write_features(tmp_path / "in", 10)
  names = [f"v{i:03d}" for i in range(10)]
  found: list[str] = []
  for count in (3, 9, 10):
    media_folders.add(folder, tmp_path / "in", names[:count])
    found += prepared.fingerprint(config).values()
    assert all(prepared.only_grew(config, "media", before) for before in found)
  assert len(set(found)) == 3
  assert not prepared.only_grew(config, "retrieval", found[0])
  assert not prepared.only_grew(config, "media", None)
  (tmp_path / "data" / "f" / "media").rename(tmp_path / "old")
  media_folders.add(folder, tmp_path / "in", names[:2])
  media_folders.add(folder, tmp_path / "in", names)
  assert not any(prepared.only_grew(config, "media", before) for before in found)
