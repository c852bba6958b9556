"""QVHighlights' metrics against loops on rows as the official files have them."""

import json

import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import highlights
from tests.evals.average_precision_test import naive_of_clips, naive_of_windows


def make_rows(count: int, seed: int) -> tuple[list[dict], list[dict]]:
  """Queries about videos of 20 to 30 s with one to three moments; scores tie now and then."""
  rng = np.random.default_rng(seed)
  truth, predictions = [], []
  for qid in range(count):
    clips = int(rng.integers(10, 16))
    starts = rng.choice(clips - 2, int(rng.integers(1, 4)), replace=False)
    moments = [[2 * int(s), 2 * int(rng.integers(s + 1, clips + 1))] for s in sorted(starts)]
    relevant = sorted({c for s, e in moments for c in range(s // 2, e // 2)})
    truth.append({
        "qid": qid, "vid": f"v{qid // 2}", "duration": 2 * clips, "relevant_windows": moments,
        "relevant_clip_ids": relevant,
        "saliency_scores": rng.integers(0, 5, (len(relevant), 3)).tolist(),
    })
    ranked = np.sort(rng.integers(0, 9, 12) / 8)[::-1]
    spans = np.cumsum(rng.integers(1, 14, (12, 2)), axis=1)
    scored = clips + int(rng.integers(-1, 2))  # At times a clip too few or too many.
    predictions.append({
        "qid": qid,
        "pred_relevant_windows": np.column_stack([spans, ranked]).tolist(),
        "pred_saliency_scores": (rng.integers(-4, 5, scored) / 4).tolist(),
    })
  return predictions, truth


def naive(predictions: list[dict], truth: list[dict], official: bool) -> dict[str, float]:
  """The brief numbers, query by query."""
  found: dict[str, list[float]] = {}
  thresholds = [0.5 + 0.05 * i for i in range(10)]
  for row, true in zip(predictions, truth, strict=True):
    ranked = row["pred_relevant_windows"][:10]
    windows, scores = [w[:2] for w in ranked], [w[2] for w in ranked]
    for name, low, high in (
        ("full", -1, 150), ("short", 0, 10), ("middle", 10, 30), ("long", 30, 150)
    ):
      moments = [w for w in true["relevant_windows"] if low < w[1] - w[0] <= high]
      if not moments:
        continue
      ap = [naive_of_windows(windows, scores, moments, t - 1e-9) for t in thresholds]
      found.setdefault(f"MR-{name}-mAP", []).append(np.mean(ap))
      if name == "full":
        found.setdefault("MR-full-mAP@0.5", []).append(ap[0])
        found.setdefault("MR-full-mAP@0.75", []).append(ap[5])
        for t in (0.5, 0.7):
          first = naive_of_windows(windows[:1], [1.0], moments, t) > 0
          found.setdefault(f"MR-full-R1@{t}", []).append(first)
    clips = true["duration"] // 2
    saliency = dict(zip(true["relevant_clip_ids"], true["saliency_scores"], strict=True))
    scores = row["pred_saliency_scores"]
    filled = (scores + ([0.0] if official else [-9.0]))[:clips]
    for level, least in (("Fair", 2), ("Good", 3), ("VeryGood", 4)):
      positive = [[saliency.get(c, [0, 0, 0])[k] >= least for c in range(clips)] for k in range(3)]
      found.setdefault(f"HL-min-{level}-mAP", []).append(
          np.mean([naive_of_clips(filled, column) for column in positive])
      )
      best = [c for c, s in enumerate(scores) if s == max(scores)][: 1 if official else None]
      hits = [c < clips and any(column[c] for column in positive) for c in best]
      found.setdefault(f"HL-min-{level}-Hit1", []).append(np.mean(hits))
  return {name: 100 * float(np.mean(values)) for name, values in found.items()}


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_loops(official: bool, seed: int) -> None:
  predictions, truth = make_rows(12, seed)
  found = highlights.evaluate(predictions, truth[::-1], official=official, resamples=20)
  expected = naive(predictions, truth, official)
  assert found["brief"] == pytest.approx(expected)
  assert found["full"]["MR-mAP"]["average"] == pytest.approx(expected["MR-full-mAP"])
  assert found["full"]["MR-R1"]["0.7"] == pytest.approx(expected["MR-full-R1@0.7"])
  assert found["HL-min-Good"]["HL-Hit1"] == pytest.approx(expected["HL-min-Good-Hit1"])
  assert found["interval"].keys() == expected.keys()
  assert all(found["interval"][k][0] <= v <= found["interval"][k][1] for k, v in expected.items())
  assert json.loads(json.dumps(found)) == found


def test_constant_saliency_is_chance() -> None:
  """The official code takes the first clip, whatever it is."""
  _, truth = make_rows(20, 2)
  clips = [t["duration"] // 2 for t in truth]
  constant = [{"qid": i, "pred_saliency_scores": [0.3] * c} for i, c in enumerate(clips)]
  share = [
      sum(max(s) >= 4 for s in t["saliency_scores"]) / c
      for t, c in zip(truth, clips, strict=True)
  ]
  found = highlights.evaluate(constant, truth, resamples=2)
  assert found["HL-min-VeryGood"]["HL-Hit1"] == pytest.approx(100 * np.mean(share))
  assert "full" not in found


def test_a_query_without_a_window_is_a_miss() -> None:
  """The official mAP leaves it out of the mean."""
  predictions, truth = make_rows(6, 3)
  for row in predictions:
    del row["pred_saliency_scores"]
  whole = highlights.evaluate(predictions[:5], truth[:5], resamples=2)["brief"]["MR-full-mAP"]
  predictions[5]["pred_relevant_windows"] = []
  found = highlights.evaluate(predictions, truth, resamples=2)
  assert found["brief"]["MR-full-mAP"] == pytest.approx(5 / 6 * whole)
  assert "HL-min-Fair" not in found


def test_two_digits() -> None:
  metrics = {"full": {"MR-mAP": {"0.5": 54.955, "average": 32.2049}}, "queries": 3}
  assert highlights.rounded(metrics) == {
      "full": {"MR-mAP": {"0.5": 54.95, "average": 32.2}}, "queries": 3
  }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"qid": 7}, "2 queries predicted, 2 in the split; qid 0 is in one alone"),
        ({"pred_relevant_windows": [[0, 1]]}, "the prediction of qid 0 is not usable .2 numbers"),
        ({"pred_relevant_windows": [[0, "x", 1]]}, "the prediction of qid 0 is not usable"),
        ({"pred_relevant_windows": [[0, np.nan, 1]]}, "qid 0: windows of example 0 is not finite"),
        ({"pred_saliency_scores": [0.0, np.inf]}, "qid 0: saliency scores of example 1 is not"),
        ({"pred_saliency_scores": []}, "qid 0 has no relevant window, or an empty list of scores"),
        ({"pred_saliency_scores": None}, "qid 1 predicts other things than the first"),
    ],
)
def test_bad_predictions(change: dict, said: str) -> None:
  predictions, truth = make_rows(2, 4)
  with pytest.raises(UserError, match=said):
    highlights.evaluate([predictions[0] | change, predictions[1]], truth)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"relevant_windows": []}, "qid 0 has no relevant window"),
        ({"saliency_scores": [[1, 2]]}, "the annotation of qid 0 is not usable"),
        ({"relevant_clip_ids": [99], "saliency_scores": [[1, 2, 3]]}, "annotation of qid 0 is not"),
        ({"duration": None}, "the annotation of qid 0 is not usable"),
        ({"qid": 1}, "row 1 of the truth has no qid of its own"),
    ],
)
def test_bad_truth(change: dict, said: str) -> None:
  predictions, truth = make_rows(2, 5)
  with pytest.raises(UserError, match=said):
    highlights.evaluate(predictions, [truth[0] | change, truth[1]])


def test_no_row() -> None:
  with pytest.raises(UserError, match="the split has no query"):
    highlights.evaluate([], [])
  _, truth = make_rows(1, 6)
  with pytest.raises(UserError, match="nothing predicted"):
    highlights.evaluate([{"qid": 0}], truth)
