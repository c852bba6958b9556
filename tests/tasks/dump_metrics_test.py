"""Each task's rows against its metrics: what `compare` takes the mean of is what was evaluated."""

import dataclasses
import types
from typing import Any

import numpy as np
import pytest

from mla_jax.data.record_format import TextRecord
from mla_jax.data.sources import Texts
from mla_jax.evals import comparison, didemo
from mla_jax.tasks import (
    counting,
    localisation,
    moment_protocols,
    multiple_choice_qa,
    open_ended_qa,
    retrieval,
)
from mla_jax.tasks.base import Evaluation
from mla_jax.tasks.moment_protocols import Proposals

RNG = np.random.default_rng(0)


def texts_of(records: list[TextRecord], missing: int = 0) -> Texts:
  """Texts in memory; the last `missing` have no video."""
  store: Any = types.SimpleNamespace(
      manifest={"dataset": "none"},
      read=lambda split, items: [records[i] for i in items],
      video_ids=lambda split: [record.video_id for record in records],
  )
  videos = np.unique([record.video_id for record in records], return_inverse=True)[1]
  asked = len(records) - missing
  return Texts(store, "val", np.arange(asked), videos[:asked], np.arange(asked, len(records)))


def questions(many: int, **fields: Any) -> list[TextRecord]:
  return [
      TextRecord(
          f"q{i}", f"v{i // 3}", 0, f"text {i}", question_type="ab"[i % 2],
          **{name: values[i] for name, values in fields.items()},
      )
      for i in range(many)
  ]


def check(found: Evaluation, expected: dict[str, float]) -> None:
  """The rows give these means, no others, and so does a comparison of the dump with itself."""
  values = comparison.metric_values(found.rows)
  means = {name: float(np.nanmean(column)) for name, column in values.items()}
  assert means == pytest.approx(expected)
  compared = comparison.compare([(row, row) for row in found.rows], resamples=2)
  assert {name: side["b"] for name, side in compared["metrics"].items()} == pytest.approx(expected)
  assert compared["not_compared"] == []


def test_counting() -> None:
  records = questions(30, count=RNG.integers(0, 11, 30).tolist())
  found = counting._evaluation(5, texts_of(records), RNG.uniform(-1, 12, 30))
  names = [f"{kind}_{of}_labels" for of in ("raw", "clipped") for kind in ("mse", "accuracy")]
  check(found, {name: found.metrics[name] for name in names})
  assert len({round(found.metrics[name], 6) for name in names}) == 4
  assert all(map(comparison.lower_is_better, ("mse_raw_labels", "mse_clipped_labels", "mse")))
  assert not comparison.lower_is_better("accuracy_raw_labels")


@pytest.mark.parametrize("missing", [0, 4])
def test_multiple_choice_with_ties(missing: int) -> None:
  records = questions(
      30, answer_index=RNG.integers(0, 3, 30).tolist(), candidates=[("x", "y", "z")] * 30,
      answer=["x"] * 30,
  )
  scores = RNG.integers(0, 2, (30 - missing, 3)).astype(np.float32)
  found = multiple_choice_qa._evaluation(5, texts_of(records, missing), scores)
  check(found, {"accuracy": found.metrics["accuracy"]})
  # A shared first place counts by its share: no mean of what is `correct`.
  assert found.metrics["accuracy"] != pytest.approx(
      100 * np.mean([row["correct"] for row in found.rows])
  )


def test_either_of_two_equal_candidates_is_right_where_the_answer_is_a_text() -> None:
  fields = {"answer_index": [1] * 2, "candidates": [("x", "y", "y")] * 2, "answer": ["y"] * 2}
  records = questions(2, references=[("y",), ()], **fields)
  scores = np.array([[0.0, 0.0, 1.0]] * 2, np.float32)
  found = multiple_choice_qa._evaluation(5, texts_of(records), scores)
  assert [row["correct"] for row in found.rows] == [True, False]
  check(found, {"accuracy": 50.0})


@pytest.mark.parametrize("missing", [0, 4])
@pytest.mark.parametrize("with_references", [False, True])
def test_open_ended(missing: int, with_references: bool) -> None:
  words = ["a", "b", "c", "rare"]
  answers = [words[i] for i in RNG.integers(0, 4, 30)]
  more = {"references": [("a", "c") if i % 3 else () for i in range(30)]} if with_references else {}
  records = questions(30, answer=answers, **more)
  predicted = [words[i] for i in RNG.integers(0, 3, 30 - missing)]
  found = open_ended_qa._evaluation(
      5, texts_of(records, missing), predicted, np.ones(30 - missing), words[:3]
  )
  names = ["accuracy"] + ["accuracy_any_reference"] * with_references
  check(found, {name: found.metrics[name] for name in names})
  if with_references:
    assert found.metrics["accuracy_any_reference"] > found.metrics["accuracy"]


def retrieved(scores: np.ndarray) -> Evaluation:
  texts = texts_of(questions(len(scores)))
  owner = np.asarray(texts.videos)
  ranked = retrieval._Ranked.by_scores(scores, owner, None)
  return retrieval._evaluation(texts, ranked, owner, ranked.summarise(5))


def test_retrieval_both_ways_with_ties() -> None:
  found = retrieved(RNG.integers(0, 4, (30, 10)).astype(np.float32))
  names = ("recall_at_1", "recall_at_5", "recall_at_10", "mean_rank")
  ways = (("", "text_to_video"), ("video_to_text_", "video_to_text"))
  check(found, {prefix + name: found.metrics[way][name] for prefix, way in ways for name in names})
  on_rows = [row["id"] for row in found.rows if "video_rank" in row]
  assert on_rows == [f"q{i}" for i in range(0, 30, 3)]  # The first text of each video.
  assert comparison.lower_is_better("video_to_text_mean_rank")


def test_a_comparison_says_of_how_many_examples_a_metric_is() -> None:
  pairs = list(zip(*(retrieved(RNG.random((30, 10))).rows for _ in "ab"), strict=True))
  found = comparison.compare(pairs, resamples=5)
  assert found["metrics"]["recall_at_1"]["examples"] == 30
  assert found["metrics"]["video_to_text_recall_at_1"]["examples"] == 10
  older = [
      (a, {key: value for key, value in b.items() if not key.startswith("video_")})
      for a, b in pairs
  ]
  names = ("mean_rank", "recall_at_1", "recall_at_10", "recall_at_5")
  assert comparison.compare(older, resamples=5)["not_compared"] == [
      f"video_to_text_{name}" for name in names
  ]


def proposals(queries: int, fixed: int) -> Proposals:
  start = RNG.integers(0, 20, (queries, 6)).astype(np.float32)
  length = RNG.integers(1, 11, (queries, 6))
  return Proposals(
      windows=np.stack([start, start + length], axis=2),
      scores=RNG.integers(0, 4, (queries, 6)).astype(np.float32),
      real=RNG.random((queries, 6)) < 0.9,
      end=np.full(queries, 30.0),
      fixed=RNG.integers(0, 4, (queries, fixed)).astype(np.float32),
  )


def localise(protocol: str, records: list[TextRecord], fixed: int = 0) -> Evaluation:
  scored = moment_protocols.PROTOCOLS[protocol](records, proposals(len(records), fixed), 0.7, 5)
  return localisation._evaluation(texts_of(records), records, scored)


def windows(count: int, least: int = 1) -> tuple[tuple[float, float], ...]:
  starts = RNG.integers(0, 20, max(count, least))
  return tuple((float(s), float(s + RNG.integers(1, 11))) for s in starts)


def test_one_moment() -> None:
  records = questions(12, moments=[windows(1) for _ in range(12)], duration=[30.0] * 12)
  found = localise("windows", records)
  names = [f"recall_at_{n}_iou_{m}" for n in (1, 5) for m in (0.3, 0.5, 0.7)] + ["mean_iou"]
  check(found, {name: found.metrics[name] for name in names})


def test_evidence() -> None:
  records = questions(12, moments=[windows(1 + i % 3) for i in range(12)], duration=[30.0] * 12)
  found = localise("nextgqa", records)
  names = ["mean_iou", "iou_0.3", "iou_0.5", "mean_iop", "iop_0.3", "iop_0.5"]
  check(found, {name: found.metrics[name] for name in names})


def test_didemo_has_all_annotators_with_ties() -> None:
  def moment() -> tuple[float, float]:
    first, last = didemo.MOMENTS[RNG.integers(21)]
    return 5.0 * first, 5.0 * last + 5.0

  records = questions(12, moments=[tuple(moment() for _ in range(4)) for _ in range(12)],
                      duration=[30.0] * 12)
  found = localise("didemo", records, 21)
  names = ("rank_at_1", "rank_at_5", "mean_iou")
  check(found, {name: found.metrics[name] for name in names})


def test_didemos_overlap_is_not_that_of_the_kindest_annotator() -> None:
  records = questions(1, moments=[((0.0, 5.0),) * 2 + ((25.0, 30.0),) * 2], duration=[30.0])
  scores = np.zeros((1, 21), np.float32)
  scores[0, didemo.MOMENTS.index((0, 0))] = 1.0
  scored = moment_protocols.didemo_moments(
      records, dataclasses.replace(proposals(1, 0), fixed=scores), 0.7, 5
  )
  found = localisation._evaluation(texts_of(records), records, scored)
  assert comparison.metric_values(found.rows)["mean_iou"].tolist() == [pytest.approx(200 / 3)]


def test_qvhighlights_has_its_own_metrics() -> None:
  saliency = [
      tuple((clip, *map(int, RNG.integers(0, 5, 3))) for clip in range(6)) for _ in range(12)
  ]
  records = questions(12, moments=[windows(1 + i % 2) for i in range(12)], duration=[30.0] * 12,
                      saliency=saliency)
  records[5] = dataclasses.replace(records[5], moments=((2.0, 25.0),))
  found = localise("qvhighlights", records, 15)
  check(found, found.metrics["brief"])
  assert {"MR-full-mAP", "MR-full-R1@0.5", "MR-middle-mAP", "HL-min-VeryGood-Hit1"} <= set(
      comparison.metric_values(found.rows)
  )
  compared = comparison.compare([(row, row) for row in found.rows], resamples=2)["metrics"]
  assert compared["MR-full-mAP"]["examples"] == 12
  assert compared["MR-middle-mAP"]["examples"] == 1
