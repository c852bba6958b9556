"""Differences of runs by hand and against the metrics of each run alone."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import comparison, paired, retrieval


def qa_pairs(a: list[bool], b: list[bool]) -> list[tuple[dict, dict]]:
  same = [
      {"id": i, "video": f"v{i // 2}", "text": f"q{i}", "type": ["what", "who", "what"][i % 3]}
      for i in range(len(a))
  ]
  return [
      (row | {"correct": x}, row | {"correct": y}) for row, x, y in zip(same, a, b, strict=True)
  ]


def test_qa_by_hand() -> None:
  pairs = qa_pairs([True, False, False, True], [True, True, True, False])
  found = comparison.compare(pairs, resamples=50)
  assert found["examples"] == 4
  assert found["videos"] == 2
  accuracy = found["metrics"]["accuracy"]
  assert (accuracy["a"], accuracy["b"], accuracy["difference"]) == (50.0, 75.0, 25.0)
  assert found["flips"] == {"gained": 2, "lost": 1}
  assert list(found["by_type"]) == ["what", "who"]
  assert found["by_type"]["what"]["examples"] == 3
  assert found["by_type"]["what"]["accuracy"]["difference"] == pytest.approx(0.0)
  assert found["by_type"]["who"]["accuracy"]["difference"] == 100.0
  gained, lost = comparison.flips(pairs)
  assert [a["id"] for a, _ in gained] == [1, 2]
  assert [a["id"] for a, _ in lost] == [3]
  assert json.loads(json.dumps(found)) == found
  assert found == comparison.compare(pairs, resamples=50)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_the_videos_are_the_clusters(rights: list[tuple[bool, bool]]) -> None:
  a, b = [x for x, _ in rights], [y for _, y in rights]
  found = comparison.compare(qa_pairs(a, b), resamples=64, seed=3)["metrics"]["accuracy"]
  clusters = np.arange(len(a)) // 2
  expected = paired.paired_difference(
      100.0 * np.array(a), 100.0 * np.array(b), clusters, resamples=64, seed=3
  )
  assert found["p_value"] == expected.p_value
  assert found["difference"] == expected.mean
  np.testing.assert_allclose(found["interval"], expected.interval)


@pytest.mark.parametrize("with_ties", [False, True])
def test_retrieval_is_what_each_run_says_of_itself(with_ties: bool) -> None:
  rng = np.random.default_rng(0)
  owner = np.arange(60) // 3
  ranks = [
      retrieval.text_to_video_from_scores(
          rng.integers(0, 4, (60, 20)).astype(float) if with_ties else rng.random((60, 20)), owner
      )
      for _ in range(2)
  ]
  rows = [
      [
          {"id": i, "video": f"v{v}", "rank": float(r), "correct": bool(r == 1), "ties": int(t)}
          for i, (v, r, t) in enumerate(zip(owner, found.rank, found.ties, strict=True))
      ]
      for found in ranks
  ]
  found = comparison.compare(list(zip(*rows, strict=True)), resamples=20)
  assert list(found["metrics"]) == ["recall_at_1", "recall_at_5", "recall_at_10", "mean_rank"]
  for side, run in zip("ab", ranks, strict=True):
    summary = retrieval.summarise(run, resamples=2)
    for name, metric in found["metrics"].items():
      assert metric[side] == pytest.approx(summary[name])
  assert found["by_type"] == {}


def test_errors_and_overlaps() -> None:
  pairs = [
      ({"id": 0, "squared_error": 4.0, "iou": 0.5}, {"id": 0, "squared_error": 1.0, "iou": 1.0}),
      ({"id": 1, "squared_error": 0.0, "iou": 0.0}, {"id": 1, "squared_error": 1.0, "iou": 0.0}),
  ]
  metrics = comparison.compare(pairs, resamples=5)["metrics"]
  assert metrics["mse"]["difference"] == -1.0
  assert metrics["mean_iou"]["difference"] == 25.0


def test_moments_that_are_null_are_none() -> None:
  pairs = [({"id": 0, "iou": 0.5, "moments": None}, {"id": 0, "iou": 1.0})]
  assert comparison.compare(pairs, resamples=5)["metrics"]["mean_iou"]["difference"] == 50.0


def test_metrics_that_rows_state_are_of_those_that_state_them() -> None:
  rows = [
      [
          {"id": i, "video": f"v{i}", "type": "xy"[i // 2], "correct": True, "metrics": metrics}
          for i, metrics in enumerate(run)
      ]
      for run in (
          [{"p": 10.0, "q": 1.0}, {"p": 30.0}, {"p": 0.0}],
          [{"p": 20.0, "q": 4.0}, {"p": 30.0}, {"p": 0.0}],
      )
  ]
  found = comparison.compare(list(zip(*rows, strict=True)), resamples=5)
  assert {name: side["difference"] for name, side in found["metrics"].items()} == {
      "p": pytest.approx(10 / 3), "q": 3.0
  }
  assert [found["metrics"][name]["examples"] for name in "pq"] == [3, 1]
  assert set(found["by_type"]["y"]) == {"examples", "p"}  # None of its examples is of "q".
  other = [(a, b | {"metrics": {"p": 1.0, "q": 1.0}}) for a, b in zip(*rows, strict=True)]
  with pytest.raises(UserError, match="example 1 has q in one run alone"):
    comparison.compare(other, resamples=5)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ({"correct": True}, {"rank": 1.0}, "accuracy in A, recall_at_1.* in B"),
        ({}, {}, "none in A, none in B"),
        ({"correct": True}, {"correct": None}, "example 0 has correct=None, not a finite number"),
        ({"rank": 1}, {"rank": "1"}, "example 0 has rank='1', not a finite number"),
        ({"metrics": {"p": None}}, {"metrics": {"p": 1.0}}, "example 0 has p=None, not a finite"),
        ({"metrics": 3}, {"metrics": {}}, "example 0 has no metrics"),
        ({"iou": 1.0, "moments": [[0, 5], [0, 5]]}, {"iou": 1.0}, "0 has several moments and one"),
        ({"rank": float("nan")}, {"rank": 1.0}, "example 0 has rank=nan, not a finite number"),
    ],
)
def test_bad_rows(a: dict, b: dict, said: str) -> None:
  with pytest.raises(UserError, match=said):
    comparison.compare([({"id": 0} | a, {"id": 0} | b)], resamples=5)
