"""Texts without a moment among the queries of localisation: left out, counted, never drawn."""

import dataclasses
import logging
import pathlib
from typing import Any

import jax
import pytest

from mla_jax import config_lib, train_lib, train_step, trained_on
from mla_jax import run as run_lib
from mla_jax.data import record_format, sources
from mla_jax.errors import UserError
from tests import tiny

WITHOUT = ("video3", "video11", "video1", "video2")  # Two are tested, two trained on.
ABSENT = (11, 19)  # A query without a moment and a video counts once; one with a moment.


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  family = config("unused").data.family
  root = tmp_path_factory.mktemp("data")
  return tiny.prepare(root, videos=40, family=family, datasets=("charades_sta",), absent=ABSENT)


@pytest.fixture(autouse=True)
def some_without(monkeypatch: pytest.MonkeyPatch) -> None:
  forget(monkeypatch, WITHOUT)


def forget(monkeypatch: pytest.MonkeyPatch, videos: tuple[str, ...]) -> None:
  """Queries as TVQA's with `ts` of nan-nan are prepared."""
  parse = record_format.parse_text

  def parse_text(raw: bytes) -> record_format.TextRecord:
    record = parse(raw)
    return dataclasses.replace(record, moments=()) if record.video_id in videos else record

  monkeypatch.setattr(record_format, "parse_text", parse_text)


def config(data: pathlib.Path | str, **changes: Any) -> Any:
  fixed = {
      "data.dir": str(data),
      "data.dev_fraction": 0.3,
      "model.video.feature_width": tiny.FEATURES,
      "eval.bootstrap": 20,
      "train.steps": 2,
  }
  return config_lib.load_config("configs/charades_sta.py:features,debug", fixed | changes)


def open_run(data: pathlib.Path, workdir: pathlib.Path) -> run_lib.Run:
  found = config(data)
  run_lib.start_workdir(found, workdir)
  return run_lib.open_run(found, workdir)


def test_they_are_left_out_of_an_evaluation_and_counted(data, tmp_path, caplog) -> None:
  run = open_run(data, tmp_path)
  with caplog.at_level(logging.WARNING, "mla_jax"):
    texts = run_lib.open_evaluated(run)
  assert "2 texts without a moment are left out" in caplog.text
  params = jax.jit(train_step.init_params(run.model, run.config))()
  found = run.evaluate(params, texts)
  assert {row["video"] for row in found.rows} == {"video27", "video35"}
  assert found.metrics["queries"] == 2
  assert found.metrics["queries_without_moment"] == 2
  assert found.metrics["queries_without_video"] == 1  # video19: the other one is no query.
  assert found.metrics["reduced_to"] == "queries with a video"
  whole = found.metrics["full_split"]
  assert whole["mean_iou"] == pytest.approx(found.metrics["mean_iou"] * 2 / 3)
  assert {"recall_at_1_iou_0.5", "recall_at_5_iou_0.7"} <= set(whole) <= set(found.metrics)


def test_they_are_never_drawn_in_training(data, tmp_path) -> None:
  run = open_run(data, tmp_path)
  for source in run_lib.open_sources(run):
    drawn = set(source.own.texts.video_ids())
    assert drawn and not drawn & set(WITHOUT)
  assert train_lib.train(run.config, tmp_path) is not None


def test_they_do_not_count_as_trained_on(data, tmp_path) -> None:
  run = open_run(data, tmp_path)
  texts = sources.open_texts(run.config.data, "localisation", "train", with_video=True)
  known = set(sources.split_off_dev(texts, 0.3)[0].video_ids())
  assert known & set(WITHOUT)
  assert trained_on.count_videos(run, run.config, texts) == len(known - set(WITHOUT))


def test_nothing_but_them_is_one_line(data, tmp_path, monkeypatch) -> None:
  run = open_run(data, tmp_path)
  forget(monkeypatch, tuple(f"video{number}" for number in range(40)))
  with pytest.raises(UserError, match="no text has a moment") as error:
    run_lib.open_evaluated(run)
  assert "\n" not in str(error.value)
