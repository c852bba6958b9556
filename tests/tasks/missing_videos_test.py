"""A split with videos that are not there: what each task's numbers are over, and its dump."""

import dataclasses
import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from mla_jax import config_lib, train_step
from mla_jax import run as run_lib
from mla_jax.data import record_format, selection, sources
from mla_jax.evals import comparison, dumps
from mla_jax.report.build import write_report
from mla_jax.tasks.base import Evaluation
from tests import tiny

ABSENT = (1, 3, 7)  # 3 and 7 are of the evaluated split, 1 is trained on.
DATASETS = ("msrvtt_retrieval", "timed_captions", "msrvtt_qa", "msrvtt_mc")
MULTIPLE_CHOICE = {
    "task": "multiple_choice_qa",
    "eval.scoring": "contrastive",
    "data.eval_texts": "mc",
    "data.eval_split": "test",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return tiny.prepare(
      tmp_path_factory.mktemp("data"), videos=24, datasets=DATASETS, absent=ABSENT
  )


def open_run(data: pathlib.Path, workdir: pathlib.Path, name: str, **changes: Any) -> run_lib.Run:
  fixed = {
      "data.dir": str(data),
      "data.dev_fraction": 0.3,
      "model.video.feature_width": tiny.FEATURES,
      "eval.bootstrap": 20,
  }
  config = config_lib.load_config(f"configs/{name}", fixed | changes)
  workdir.mkdir(exist_ok=True)
  run_lib.start_workdir(config, workdir)
  return run_lib.open_run(config, workdir)


def evaluate(run: run_lib.Run, report: bool = False) -> Evaluation:
  params = jax.jit(train_step.init_params(run.model, run.config))()
  texts = run_lib.open_evaluated(run)
  found = run.evaluate(params, texts)
  if report:
    write_report(run, params, texts, found, "found")
  return found


def check_rows(found: Evaluation, questions: int, missing: int) -> None:
  """The accuracy is over all rows, and those without a video are wrong."""
  metrics, rows = found.metrics, found.rows
  assert metrics["questions"] == len(rows) == questions
  assert metrics["questions_without_video"] == missing
  absent = [row for row in rows if row.get("video_missing")]
  assert {row["video"] for row in absent} == {"video3", "video7"}
  assert len(absent) == missing
  assert all(row["predicted"] == "" and row["correct"] is False for row in absent)
  assert [row["place"] for row in rows] == list(range(questions))
  right = sum(row["correct"] for row in rows)
  assert metrics["accuracy"] == pytest.approx(100 * right / questions)
  assert metrics["accuracy_with_video"] == pytest.approx(100 * right / (questions - missing))


def test_open_ended_questions_without_a_video_are_wrong(data, tmp_path) -> None:
  run = open_run(data, tmp_path / "run", "msrvtt_mini_qa.py:debug")
  found = evaluate(run, report=True)
  check_rows(found, questions=12, missing=4)
  assert all(row["probability"] == 0.0 for row in found.rows if row.get("video_missing"))
  twin = open_run(data, tmp_path / "twin", "msrvtt_mini_qa.py:no_video,debug")
  blind = evaluate(twin)
  assert blind.metrics["questions_without_video"] == 0
  assert "accuracy_with_video" not in blind.metrics
  result = comparison.compare(dumps.join(found.rows, blind.rows), resamples=20)
  assert result["examples"] == 12
  assert result["metrics"]["accuracy"]["a"] == pytest.approx(found.metrics["accuracy"])
  assert result["metrics"]["accuracy"]["b"] == pytest.approx(blind.metrics["accuracy"])


def test_an_empty_answer_to_a_hidden_one_is_not_right(data, tmp_path, monkeypatch) -> None:
  run = open_run(data, tmp_path, "msrvtt_mini_qa.py:debug")
  parse = record_format.parse_text
  monkeypatch.setattr(
      record_format, "parse_text", lambda raw: dataclasses.replace(parse(raw), answer="")
  )
  found = evaluate(run)
  assert found.metrics["accuracy"] == 0.0
  assert not any(row["correct"] for row in found.rows)


def test_multiple_choice_questions_without_a_video_are_wrong(data, tmp_path) -> None:
  run = open_run(data, tmp_path, "msrvtt_mini_retrieval.py:debug", **MULTIPLE_CHOICE)
  found = evaluate(run, report=True)
  check_rows(found, questions=4, missing=2)
  absent = [row for row in found.rows if row.get("video_missing")]
  assert all(row["predicted_index"] == -1 and row["scores"] == [] for row in absent)
  assert found.metrics["chance"] == pytest.approx(20.0)


def test_retrieval_is_over_the_texts_with_a_video_and_says_so(data, tmp_path) -> None:
  found = evaluate(open_run(data, tmp_path, "msrvtt_mini_retrieval.py:debug"))
  assert found.metrics["texts"] == len(found.rows) == 12
  assert found.metrics["texts_without_video"] == 6
  assert found.metrics["reduced_to"] == "texts with a video"


def test_what_is_left_out_is_divided_like_the_rest(data, tmp_path) -> None:
  config = open_run(data, tmp_path, "msrvtt_mini_qa.py:debug").config.data
  texts = sources.open_texts(config, "qa", "train", with_video=True)
  ids = np.asarray(texts.store.video_ids("train"))
  assert set(ids[texts.left_out]) == {"video1"}
  train, dev = sources.split_off_dev(texts, config.dev_fraction)
  assert train.missing + dev.missing == texts.missing == 2
  assert len(train.items) + len(dev.items) == len(texts.items)
  everything = sources.open_texts(config, "qa", "train", with_video=False)
  sides = sources.split_off_dev(everything, config.dev_fraction)
  for side, whole in zip((train, dev), sides, strict=True):
    assert {r.item_id for r in side.read_all()} == {r.item_id for r in whole.read_all()}
  selected = selection.require_dev(config, with_video=True)
  assert selected.missing == dev.missing
