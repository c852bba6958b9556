"""Probes of tasks that neither retrieve nor have a vocabulary of answers."""

import pytest

from mla_jax import config_lib, probing, train_lib
from tests import tiny


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dataset", "score"),
    [
        ("tgif_qa_action.py", "tgif_qa_action", "accuracy"),
        ("tgif_qa_count.py", "tgif_qa_count", "selection score"),
    ],
)
def test_any_task_can_be_probed(name, dataset, score, tmp_path):
  data = tiny.prepare(tmp_path, media="frames", family="tgif", videos=24, datasets=(dataset,))
  changes = {"data.dir": str(data), "data.dev_fraction": 0.3}
  config = config_lib.load_config(f"configs/{name}:debug", changes)
  train_lib.train(config, tmp_path / "run")
  result = probing.probe(config, tmp_path / "run", "latest")
  assert result["score"] == score
  assert set(result["probes"]) == {
      "none", "no_video", "one_frame", "shuffled_frames", "reversed_frames", "half_the_frames",
      "twice_the_frames",
  }
