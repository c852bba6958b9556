"""Rescored matrices against loops; what they must and must not change."""

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import rescoring, retrieval


def softmax(values: list[float]) -> list[float]:
  total = math.fsum(math.exp(v) for v in values)
  return [math.exp(v) / total for v in values]


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_dual_softmax_is_the_product_of_two(texts: int, videos: int, seed: int) -> None:
  scores = np.random.default_rng(seed).normal(size=(texts, videos))
  by_text = [softmax([3 * s for s in row]) for row in scores.tolist()]
  by_video = [softmax([3 * s for s in column]) for column in scores.T.tolist()]
  expected = [[by_text[t][v] * by_video[v][t] for v in range(videos)] for t in range(texts)]
  np.testing.assert_allclose(np.exp(rescoring.dual_softmax(scores, 3.0)), expected)


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_sinkhorn_equals_loops_of_normalising(texts: int, videos: int, seed: int) -> None:
  scores = np.random.default_rng(seed).normal(size=(texts, videos))
  plan = np.exp(2 * scores)
  for _ in range(4):
    plan = plan / plan.sum(axis=0, keepdims=True) / videos
    plan = plan / plan.sum(axis=1, keepdims=True) / texts
  np.testing.assert_allclose(np.exp(rescoring.sinkhorn(scores, 2.0, 4)), plan)


def test_sinkhorn_converges_to_even_masses() -> None:
  plan = np.exp(rescoring.sinkhorn(np.random.default_rng(0).normal(size=(12, 5)), 1.0, 200))
  np.testing.assert_allclose(plan.sum(axis=1), 1 / 12)
  np.testing.assert_allclose(plan.sum(axis=0), 1 / 5)


@pytest.mark.parametrize("rescore", [rescoring.dual_softmax, rescoring.sinkhorn])
def test_a_number_added_to_all_scores_changes_no_rank(rescore) -> None:
  """CAMoE's product with the similarity turns the order around where that is negative."""
  rng = np.random.default_rng(1)
  scores, owner = rng.normal(size=(30, 10)) / 8, np.arange(30) // 3
  for shift in (-4.0, 2.0):
    np.testing.assert_array_equal(
        retrieval.text_to_video_from_scores(rescore(scores, 10.0), owner).rank,
        retrieval.text_to_video_from_scores(rescore(scores + shift, 10.0), owner).rank,
    )


@pytest.mark.parametrize("rescore", [rescoring.dual_softmax, rescoring.sinkhorn])
def test_a_video_that_all_texts_like_is_held_back(rescore) -> None:
  """The hub is first for every text by its score alone, and for its own text after rescoring."""
  scores = np.eye(6, dtype=np.float32) * 0.2
  scores[:, 2] += 0.3
  owner = np.arange(6)
  assert retrieval.text_to_video_from_scores(scores, owner).recall_at(1).sum() == 1
  ranks = retrieval.text_to_video_from_scores(rescore(scores, 100.0), owner)
  assert ranks.recall_at(1).sum() == 6


def test_rows_are_flagged_and_constant_scores_are_chance() -> None:
  owner = np.arange(60) // 3
  rows = rescoring.rescored(np.full((60, 20), 0.3, np.float32), owner, resamples=5)
  assert set(rows) == {
      f"{d}_{n}" for d in ("text_to_video", "video_to_text") for n in ("dual_softmax", "sinkhorn")
  }
  for row in rows.values():
    assert row["uses_all_queries"] is True
    assert row["recall_at_1"] == pytest.approx(5.0)
    assert row["mean_rank"] == pytest.approx(10.5)
  assert json.loads(json.dumps(rows)) == rows


def test_large_scales_stay_finite() -> None:
  scores = np.random.default_rng(2).uniform(-1, 1, (50, 40)).astype(np.float32)
  for rescore in (rescoring.dual_softmax, rescoring.sinkhorn):
    found = rescore(scores, 1e4)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("block", [1, 1 << 30])
@pytest.mark.parametrize("method", rescoring.METHODS)
def test_embeddings_rank_as_their_matrix(monkeypatch, method: str, block: int) -> None:
  """A text at a time, or all at once; some texts and some videos are equal."""
  monkeypatch.setattr(retrieval, "SCORE_BYTES", block)
  rng = np.random.default_rng(3)
  text, video = rng.normal(size=(40, 4)), rng.normal(size=(12, 4))
  text[7], text[30], video[5], video[11] = text[3], text[3], video[2], video[2]
  owner = rng.integers(0, 12, 40)
  rescore = {"dual_softmax": rescoring.dual_softmax, "sinkhorn": rescoring.sinkhorn}[method]
  scores = np.round(rescore(text @ video.T, 3.0), 9)  # Without what rounding makes of ties.
  found = rescoring.rescored_embeddings(
      text, video, owner, methods=[method], scale=3.0, resamples=5
  )
  expected = {
      f"text_to_video_{method}": retrieval.text_to_video_from_scores(scores, owner),
      f"video_to_text_{method}": retrieval.video_to_text_from_scores(scores, owner),
  }
  for name, ranks in expected.items():
    plain = retrieval.summarise(ranks, resamples=5)
    assert found[name] == plain | {"uses_all_queries": True, "scale": 3.0}
  assert set(found) == set(expected)


@pytest.mark.parametrize("method", rescoring.METHODS)
def test_a_collapsed_model_is_chance_with_embeddings_too(method: str) -> None:
  rng = np.random.default_rng(4)
  owner = np.arange(333) // 3
  text = np.repeat(rng.normal(size=(1, 37)).astype(np.float32), 333, axis=0)
  video = np.repeat(rng.normal(size=(1, 37)).astype(np.float32), 111, axis=0)
  found = rescoring.rescored_embeddings(text, video, owner, methods=[method], resamples=5)
  for row in found.values():
    assert row["recall_at_1"] == pytest.approx(100 / 111)
    assert row["mean_rank"] == pytest.approx(56.0)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rescoring.dual_softmax(np.zeros((0, 3))), r"scores \(0, 3\)"),
        (lambda: rescoring.sinkhorn(np.zeros(3)), r"scores .*\(3,\): .*\[texts, videos\]"),
        (lambda: rescoring.dual_softmax(np.array([[0.0], [np.nan]])), "scores of text 1 are not"),
        (lambda: rescoring.sinkhorn(np.array([[np.inf, 0.0]])), "scores of text 0 are not finite"),
        (lambda: rescoring.dual_softmax(np.zeros((2, 2)), 0.0), "scale=0.0"),
        (lambda: rescoring.sinkhorn(np.zeros((2, 2)), iterations=0), "iterations=0"),
        (lambda: rescoring.rescored(np.zeros((2, 2)), np.array([0, 2])), "text 1 belongs to video"),
        (
            lambda: rescoring.rescored_embeddings(np.eye(2), np.array([[1.0, np.nan]]), [0, 0]),
            "embedding of video 0 is not finite",
        ),
        (
            lambda: rescoring.rescored_embeddings(np.eye(2), np.eye(2), [0, 1], scale=np.inf),
            "scale=inf",
        ),
        (
            lambda: rescoring.rescored(np.eye(2), np.arange(2), methods=["sinkhorm"]),
            "did you mean 'sinkhorn'",
        ),
    ],
)
def test_bad_input(call, said: str) -> None:
  with pytest.raises(UserError, match=said):
    call()
