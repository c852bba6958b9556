"""Probes of tasks that neither retrieve nor have a vocabulary of answers."""

import pytest

from mla_jax import config_lib, eval_lib, probing, train_lib
from mla_jax.tasks.base import numbers
from tests import tiny

FRAMES = {
    "none", "no_video", "one_frame", "shuffled_frames", "reversed_frames", "half_the_frames",
    "twice_the_frames",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dataset", "score", "blind"),
    [
        ("tgif_qa_action.py:debug", "tgif_qa_action", "accuracy", {"answer_prior", "text_prior"}),
        ("tgif_qa_count.py:debug", "tgif_qa_count", "mse_raw_labels", {"answer_prior"}),
        ("charades_sta.py:features,debug", "charades_sta", "mean_iou",
         {"whole_video", "middle", "moment_prior"}),
    ],
)
def test_any_task_can_be_probed(name, dataset, score, blind, tmp_path):
  config = config_lib.load_config(f"configs/{name}")
  family, media = config.data.family, "features" if "features" in name else "frames"
  data = tiny.prepare(tmp_path, media=media, family=family, videos=24, datasets=(dataset,))
  changes = {
      "data.dir": str(data),
      "data.dev_fraction": 0.3,
      "model.video.feature_width": tiny.FEATURES,
  }
  config = config_lib.load_config(f"configs/{name}", changes)
  run = train_lib.train(config, tmp_path / "run")
  assert run is not None
  result = probing.probe(config, tmp_path / "run", "latest")
  assert result["score"] == score
  assert set(result["probes"]) == FRAMES | blind
  assert result["probes"]["none"] == numbers(eval_lib.evaluate(run, "latest"))[score]
  assert ("lower is better" in probing.table(result)) == (score == "mse_raw_labels")
