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
  assert result["notes"] == {
      "twice_the_frames": "8 frames: the positions of all after 4 were never trained"}
  assert ("lower is better" in probing.table(result)) == (score == "mse_raw_labels")


@pytest.mark.slow
def test_a_model_without_video_is_shown_beside_its_priors(tmp_path):
  data = tiny.prepare(tmp_path, family="tgif", videos=24, datasets=("tgif_qa_action",))
  changes = {"data.dir": str(data), "data.dev_fraction": 0.3}
  config = config_lib.load_config("configs/tgif_qa_action.py:features,no_video,debug", changes)
  run = train_lib.train(config, tmp_path / "run")
  assert run is not None
  result = probing.probe(config, tmp_path / "run", "latest")
  assert set(result["probes"]) == {"none", "answer_prior", "text_prior"}
  assert result["probes"]["none"] == eval_lib.evaluate(run, "latest")["accuracy"]
  last = probing.table(result).splitlines()[-1]
  assert last.split(maxsplit=2) == ["frame_probes", "-", "left out: the model has no video"]


@pytest.mark.parametrize(
    ("frames", "trained", "kept", "notes"),
    [
        (8, 16, {"half_the_frames": 4, "twice_the_frames": 16}, {}),
        (
            12, 12, {"half_the_frames": 6, "twice_the_frames": 24},
            {"twice_the_frames": "24 frames: the positions of all after 12 were never trained"},
        ),
        (
            64, 32, {"half_the_frames": 32},
            {
                "none": "64 frames: the positions of all after 32 were never trained",
                "twice_the_frames": "left out: 128 frames, and model.video.max_frames is 64",
            },
        ),
        (
            1, 2, {"twice_the_frames": 2}, {"half_the_frames": "left out: a clip has 1 frame"},
        ),
    ],
)
def test_what_other_numbers_of_frames_mean(frames, trained, kept, notes):
  changes = {"data.num_frames": frames}
  config = config_lib.load_config("configs/msrvtt_retrieval.py:features", changes)
  assert probing._frame_numbers(config, trained) == (kept, notes)


def test_the_table_says_what_was_left_out_and_what_to_know():
  result = {
      "dataset": "d", "split": "test", "step": 2, "score": "accuracy",
      "probes": {"none": 50.0, "half_the_frames": 40.0},
      "notes": {"none": "64 frames", "twice_the_frames": "left out: 128 frames"},
  }
  assert probing.table(result).splitlines()[1:] == [
      "none                 50.0  (64 frames)",
      "half_the_frames      40.0   -10.0",
      "twice_the_frames        -  left out: 128 frames",
  ]
