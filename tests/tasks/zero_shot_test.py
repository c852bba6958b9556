"""A retrieval checkpoint, trained on captions alone, asked what it was never trained for."""

import json
import logging
import pathlib
import shutil

import numpy as np
import pytest

from mla_jax import config_lib, eval_lib, train_lib
from mla_jax import run as run_lib
from mla_jax.errors import UserError
from tests import tiny

CONTRASTIVE = {"eval.scoring": "contrastive"}
DATASETS = ("msrvtt_retrieval", "timed_captions", "msrvtt_mc", "tgif_qa_count", "charades_sta")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> pathlib.Path:
  return tiny.prepare(tmp_path_factory.mktemp("zero_shot"), datasets=DATASETS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data) -> pathlib.Path:
  workdir = tmp_path_factory.mktemp("work")
  changes = {
      "data.dir": str(data),
      "data.dev_fraction": 0.0,
      "data.dev_split": "validate",
      "data.eval_split": "dev",
      "model.video.feature_width": tiny.FEATURES,
      "train.steps": 2,
  }
  config = config_lib.load_config("configs/msrvtt_mini_retrieval.py:debug", changes)
  train_lib.train(config, workdir)
  return workdir


def evaluate(workdir, task, texts, **more):
  changes = {
      "task": task, "data.family": "msrvtt", "data.eval_texts": texts, "data.eval_split": "test"}
  config = eval_lib.load_config(workdir, None, changes | {k: str(v) for k, v in more.items()})
  result = eval_lib.evaluate(run_lib.open_run(config, workdir))
  trained = config_lib.read_config(workdir / "config.json")
  name = eval_lib.result_name(config, trained)
  assert name.startswith(f"msrvtt_{texts}_test_{task}_")
  dump = (workdir / "eval" / f"{name}.jsonl").read_text().splitlines()
  return result, [json.loads(line) for line in dump]


def test_it_chooses_among_captions(trained):
  result, rows = evaluate(trained, "multiple_choice_qa", "mc", **CONTRASTIVE)
  assert result["chance"] == pytest.approx(20.0)
  assert result["questions"] == len(rows) == 7  # Ten videos, three of the sixth colour.
  assert result["accuracy"] == pytest.approx(100 * np.mean([row["correct"] for row in rows]))
  assert result["selected_on"] == "msrvtt_retrieval_validate"
  assert result["selected_on_this_split"] is False
  for row in rows:
    assert row["predicted_index"] == int(np.argmax(row["scores"]))
    assert row["correct"] == (row["predicted"] == row["answer"])
    assert len(set(row["scores"])) == 5


def test_a_result_on_what_selected_the_step_says_so(trained):
  config = eval_lib.load_config(trained, None, {"data.eval_split": "validate"})
  result = eval_lib.evaluate(run_lib.open_run(config, trained))
  assert result["selected_on_this_split"] is True
  saved = json.loads((trained / "eval" / "msrvtt_retrieval_validate.json").read_text())
  assert saved["selected_on"] == "msrvtt_retrieval_validate"


def test_a_split_of_other_data_selected_no_step(trained, tmp_path):
  other = tiny.prepare(tmp_path, datasets=("msrvtt_retrieval",), videos=12, first=500)
  changes = {"data.eval_split": "validate", "data.dir": str(other)}
  workdir = shutil.copytree(trained, tmp_path / "run")
  config = eval_lib.load_config(workdir, None, changes)
  result = eval_lib.evaluate(run_lib.open_run(config, workdir))
  assert result["selected_on"] == "msrvtt_retrieval_validate"
  assert result["selected_on_this_split"] is False
  assert len(result["other_data"]) == 8


def test_an_evaluation_with_other_settings_says_so_and_replaces_no_other(trained):
  def files(**changes) -> tuple[dict, set[pathlib.Path]]:
    config = eval_lib.load_config(trained, None, {"data.eval_split": "validate"} | changes)
    result = eval_lib.evaluate(run_lib.open_run(config, trained))
    return result, set((trained / "eval").glob("msrvtt_retrieval_validate*"))

  plain, before = files()
  assert "changed" not in plain
  assert {path.stem for path in before} == {"msrvtt_retrieval_validate"}
  assert "changed" not in files(**{"eval.batch_size": 32, "mesh.fsdp": 2})[0]
  content = {path: path.read_bytes() for path in before}
  few, after = files(**{"data.num_frames": 2})
  trained_on = config_lib.read_config(trained / "config.json").data.num_frames
  assert few["changed"] == [f"data.num_frames: {trained_on} -> 2"]
  assert files(**{"data.num_frames": 2}) == (few, after)
  (name,) = {path.stem for path in after - before}
  assert json.loads((trained / "eval" / f"{name}.json").read_text()) == few
  assert {path: path.read_bytes() for path in before} == content
  assert len(files(**{"data.num_frames": 1})[1]) == len(after) + 2


def test_a_result_on_videos_that_were_trained_on_says_so(trained, caplog):
  with caplog.at_level(logging.WARNING, "mla_jax"):
    for split, videos in (("validate", None), ("dev", None), ("train", 30)):
      config = eval_lib.load_config(trained, None, {"data.eval_split": split})
      assert "were trained on" not in caplog.text
      result = eval_lib.evaluate(run_lib.open_run(config, trained))
      assert result.get("videos_trained_on") == videos
  assert "data.eval_split='train': 30 of its 30 videos were trained on" in caplog.text
  saved = json.loads((trained / "eval" / "msrvtt_retrieval_train.json").read_text())
  assert saved["videos_trained_on"] == 30


def test_it_localises_by_its_segments(trained):
  result, rows = evaluate(trained, "localisation", "localisation", **CONTRASTIVE)
  assert result["queries"] == len(rows) == 5
  assert result["mean_iou"] == pytest.approx(100 * np.mean([row["iou"] for row in rows]))
  assert result["baselines"]["whole_video"]["mean_iou"] == pytest.approx(50.0)
  assert result["baselines"]["middle"]["mean_iou"] == pytest.approx(100 * 1.5 / 4.5)
  assert {row["answer"] for row in rows} == {"3.0-6.0 s"}


@pytest.mark.parametrize(
    ("task", "texts", "more", "message"),
    [
        ("multiple_choice_qa", "mc", {}, "scoring=contrastive"),
        ("localisation", "localisation", {}, "scoring=contrastive"),
        ("counting", "qa_count", {}, "no head that counts"),
        ("open_ended_qa", "qa_count", {}, "no head for open-ended answers"),
        ("multiple_choice_qa", "qa_count", CONTRASTIVE, "no candidates"),
        (
            "multiple_choice_qa",
            "mc",
            CONTRASTIVE | {"data.candidates": 4},
            "has 5 candidates, data.candidates=4",
        ),
        (
            "localisation",
            "localisation",
            CONTRASTIVE | {"eval.moments": "didemo", "data.eval_split": "train"},
            "DiDeMo alone",
        ),
    ],
)
def test_what_it_has_no_head_for_is_one_line(trained, task, texts, more, message):
  with pytest.raises(UserError, match=message) as error:
    evaluate(trained, task, texts, **more)
  assert "\n" not in str(error.value)


def test_it_finds_evidence_for_questions(trained):
  """NExT-GQA's protocol, here with one moment a text."""
  more = CONTRASTIVE | {"eval.moments": "nextgqa"}
  result, rows = evaluate(trained, "localisation", "localisation", **more)
  assert result["questions"] == len(rows)
  assert result["mean_iou"] == pytest.approx(100 * np.mean([row["iou"] for row in rows]))
  assert result["mean_iop"] >= result["mean_iou"]
  assert result["baselines"]["whole_video"]["mean_iou"] == pytest.approx(50.0)  # 3 of 6 s.


def test_it_retrieves_in_another_family(trained, tmp_path):
  """Of other videos, prepared elsewhere; tokenizer and model are the run's."""
  data = tiny.prepare(
      tmp_path, family="msvd", videos=8, first=60, datasets=("msrvtt_retrieval",))
  changes = {"data.dir": str(data), "data.family": "msvd", "data.eval_split": "validate"}
  config = eval_lib.load_config(trained, None, changes)
  result = eval_lib.evaluate(run_lib.open_run(config, trained))
  assert (result["dataset"], result["split"], result["videos"]) == ("msvd_retrieval", "validate", 2)
  assert result["selected_on"] == "msrvtt_retrieval_validate"
  assert result["selected_on_this_split"] is False
  dump = (trained / "eval" / "msvd_retrieval_validate.jsonl").read_text().splitlines()
  assert {json.loads(line)["video"] for line in dump} == {"video63", "video67"}
  assert config_lib.read_config(trained / "config.json").data.family == "msrvtt"
