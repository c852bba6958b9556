"""Retrieval's evaluation of a model: its rows against numpy on the embeddings it collected."""

from collections.abc import Mapping
import itertools
import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from configs import common
from mla_jax import config_lib, train_step
from mla_jax import run as run_lib
from mla_jax.errors import UserError
from mla_jax.report.build import shown_numbers
from mla_jax.tasks import retrieval
from tests import tiny

DIRECTIONS = ("text_to_video", "video_to_text")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  return tiny.prepare(
      tmp_path_factory.mktemp("data"), videos=24, datasets=("msrvtt_retrieval", "timed_captions")
  )


def evaluate(
    data: pathlib.Path, workdir: pathlib.Path, model: Mapping[str, Any] = {}, **changes: Any
):
  fixed = {"data.dir": str(data), "model.video.feature_width": tiny.FEATURES}
  changed = {f"eval.{key}": value for key, value in changes.items()}
  changed |= {f"model.{key}": value for key, value in model.items()}
  config = config_lib.load_config("configs/msrvtt_mini_retrieval.py:debug", fixed | changed)
  workdir.mkdir(exist_ok=True)
  run_lib.start_workdir(config, workdir)
  run = run_lib.open_run(config, workdir)
  params = jax.jit(train_step.init_params(run.model, config))()
  texts = run_lib.open_evaluated(run)
  return run.evaluate(params, texts), texts


def collected(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
  """What evaluations collect from now on: videos, then texts."""
  kept: list[dict[str, np.ndarray]] = []

  def keep(*arguments: Any) -> Any:
    kept.append(collect(*arguments))
    return kept[-1]

  collect = retrieval.collect
  monkeypatch.setattr(retrieval, "collect", keep)
  return kept


def softmax(values: np.ndarray, axis: int) -> np.ndarray:
  values = np.exp(values - values.max(axis=axis, keepdims=True))
  return values / values.sum(axis=axis, keepdims=True)


def recall_at_1(scores: np.ndarray, owner: np.ndarray) -> tuple[float, float]:
  """In percent, both directions, ties at random, by sorting nothing and grouping by hand."""
  scores = np.round(scores, 10)
  by_text = [
      (row[owner[q]] == row.max()) / np.sum(row == row.max()) for q, row in enumerate(scores)
  ]
  groups = np.stack([scores[owner == v].max(axis=0) for v in range(scores.shape[1])])
  by_video = [
      (column[v] == column.max()) / np.sum(column == column.max())
      for v, column in enumerate(groups.T)
  ]
  return 100 * float(np.mean(by_text)), 100 * float(np.mean(by_video))


def test_rescoring_has_rows_of_its_own_and_does_not_choose(data, tmp_path, monkeypatch) -> None:
  kept = collected(monkeypatch)
  evaluation, texts = evaluate(data, tmp_path, rescoring=("dual_softmax", "sinkhorn"))
  found = evaluation.metrics
  assert evaluation.main == pytest.approx(
      np.mean([found["text_to_video"][f"recall_at_{k}"] for k in (1, 5, 10)])
  )
  video, text = (found["whole"].astype(np.float64) for found in kept)
  owner = np.unique(texts.videos, return_inverse=True)[1]  # Six videos, three texts each.
  scaled = text @ video.T / 0.07  # The scale at the start.
  dual = softmax(scaled, 0) * softmax(scaled, 1)
  plan = np.exp(scaled - scaled.max())
  for _ in range(10):
    plan = plan / plan.sum(axis=0)
    plan = plan / plan.sum(axis=1, keepdims=True)
  flagged = set()
  for name, scores in (
      ("", scaled), ("_dual_softmax", np.log(dual)), ("_sinkhorn", np.log(plan))
  ):
    rows = [found[f"{direction}{name}"] for direction in DIRECTIONS]
    assert [row["recall_at_1"] for row in rows] == pytest.approx(recall_at_1(scores, owner))
    assert [row.get("uses_all_queries", False) for row in rows] == [bool(name)] * 2
    if name:
      assert rows[0]["scale"] == pytest.approx(1 / 0.07)
      flagged |= {f"{direction}{name}/uses_all_queries" for direction in DIRECTIONS}
  assert {name for name, value in shown_numbers(found).items() if value == "yes"} == flagged


def test_rescoring_reads_the_scores_that_rank(data, tmp_path, monkeypatch) -> None:
  """With the segments' score in them; beside them is what they are without it."""
  read: list[np.ndarray] = []

  def keep(scores: np.ndarray, owner: np.ndarray, **settings: Any) -> Any:
    read.append(scores[np.unique(owner, return_index=True)[1]])
    return rescored(scores, owner, **settings)

  rescored = retrieval.rescoring.rescored
  monkeypatch.setattr(retrieval.rescoring, "rescored", keep)
  evaluation = evaluate(data, tmp_path / "a", rescoring=("sinkhorn",), segment_score=2.0)[0]
  found = evaluation.metrics
  assert {name for name in found if name.startswith("text_to_video")} == {
      "text_to_video", "text_to_video_without_segments", "text_to_video_sinkhorn"
  }
  assert found["text_to_video_sinkhorn"]["queries"] == 18
  np.testing.assert_array_equal(read[0], evaluation.similarity)
  plain = evaluate(data, tmp_path / "b")[0].metrics
  for direction in DIRECTIONS:
    assert found[f"{direction}_without_segments"] == plain[direction]
  assert found["text_to_video"]["mean_rank"] != pytest.approx(plain["text_to_video"]["mean_rank"])


def test_an_unknown_way_of_rescoring_is_one_line(data, tmp_path) -> None:
  with pytest.raises(UserError, match=r"eval.rescoring='dual-softmax'.*mean 'dual_softmax'"):
    evaluate(data, tmp_path, rescoring=("dual-softmax",))


REGRESSOR = {
    "text.kind": "bert", "text.width": 32, "text.identity_heads": True, "video.regressor_hidden": 8,
}


def test_the_cosine_of_the_regressor_is_weighted_in(data, tmp_path, monkeypatch) -> None:
  kept = collected(monkeypatch)
  evaluate(data, tmp_path / "global", REGRESSOR)
  for weight in (0.5, 1e6):
    evaluate(data, tmp_path / str(weight), REGRESSOR, regression_score=weight)
  whole = [found["whole"].astype(np.float64) for found in kept]
  cosines = [text @ video.T for video, text in zip(whole[::2], whole[1::2], strict=True)]
  assert whole[0].shape[1] == 32 and whole[2].shape[1] == 64
  of_global, both, of_regressor = cosines
  np.testing.assert_allclose(both, (of_global + 0.5 * of_regressor) / 1.5, atol=1e-5)
  assert np.abs(of_global - of_regressor).max() > 0.1
  np.testing.assert_allclose(np.linalg.norm(whole[2], axis=1), 1.0, atol=1e-5)


SEGMENTS = {"loss.global_weight": 0.0, "eval.global_score": 0.0, "eval.segment_score": 1.0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"loss.global_weight": 0.0},
            r"eval.global_score=1.0, loss.global_weight=0: .*: set eval.global_score to 0 and ",
        ),
        (
            {"loss.segment_weight": 0.0, "eval.segment_score": 3.0},
            r"eval.segment_score=3.0, loss.segment_weight=0: .*not trained.*segment_weight above 0",
        ),
        (SEGMENTS | {"loss.segment_weight": 0.0}, "eval.segment_score=1.0, loss.segment_weight=0"),
        ({"eval.regression_score": 0.5}, "regression_score=0.5, model.video.regressor_hidden=0"),
        ({"eval.global_score": 0.0}, "all are 0 and nothing ranks"),
    ],
)
def test_what_ranks_must_be_trained(changes: dict[str, Any], said: str) -> None:
  config = common.base("test", "retrieval")
  config.update_from_flattened_dict(changes)
  with pytest.raises(UserError, match=said) as error:
    retrieval.Retrieval.from_config(config)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss.segment_weight": 0.0},
        SEGMENTS,
        {
            "loss.global_weight": 0.0,
            "loss.segment_weight": 0.0,
            "model.video.regressor_hidden": 8,
            "eval.global_score": 0.0,
            "eval.regression_score": 0.5,
        },
    ],
)
def test_one_trained_score_will_do(changes: dict[str, Any]) -> None:
  config = common.base("test", "retrieval")
  config.update_from_flattened_dict(changes)
  retrieval.Retrieval.from_config(config)


def test_scores_are_averaged_by_their_weights(data, tmp_path) -> None:
  """The global cosine, the regressor's and the segments' score, each alone and all."""

  def score(name: str, of_global: float, regression: float, segment: float):
    evaluation, _ = evaluate(
        data,
        tmp_path / name,
        REGRESSOR,
        global_score=of_global,
        regression_score=regression,
        segment_score=segment,
    )
    return evaluation

  alone = [score(str(i), *weights).similarity for i, weights in enumerate(np.eye(3).tolist())]
  mixed = score("mixed", 1.0, 2.0, 3.0)
  wanted = np.average(alone, axis=0, weights=[1.0, 2.0, 3.0])
  np.testing.assert_allclose(mixed.similarity, wanted, atol=1e-5)
  assert "text_to_video_without_segments" in mixed.metrics
  assert "text_to_video_without_segments" not in score("segments", 0.0, 0.0, 1.0).metrics
  assert min(np.abs(a - b).max() for a, b in itertools.pairwise(alone)) > 0.05
