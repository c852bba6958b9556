"""Ranks against the definition, the protocols by hand, and the traps other code bases fell into."""

from collections.abc import Callable
import json
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import retrieval
from mla_jax.evals.retrieval import Ranks

FROM_SCORES = (retrieval.text_to_video_from_scores, retrieval.video_to_text_from_scores)
FROM_EMBEDDINGS = (retrieval.text_to_video, retrieval.video_to_text)
both_from_scores = pytest.mark.parametrize("rank", FROM_SCORES)
both_from_embeddings = pytest.mark.parametrize("rank", FROM_EMBEDDINGS)


def naive_places(scores: list[float], target: int) -> list[int]:
  """Every place the target may take when ties are broken at random, each equally likely."""
  above = sum(s > scores[target] for s in scores)
  equal = sum(s == scores[target] for s in scores)
  return list(range(above + 1, above + equal + 1))


def naive_text_to_video(scores: np.ndarray, owner: np.ndarray) -> list[list[int]]:
  return [naive_places(list(row), video) for row, video in zip(scores, owner, strict=True)]


def naive_video_to_text(scores: np.ndarray, owner: np.ndarray) -> list[list[int]]:
  groups = sorted(set(owner.tolist()))
  return [
      naive_places(
          [max(scores[q, video] for q in np.flatnonzero(owner == g)) for g in groups], place
      )
      for place, video in enumerate(groups)
  ]


@st.composite
def scored_texts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
  """Few different scores, so that ties abound; some videos have no text, others many."""
  texts, videos = draw(st.integers(1, 9)), draw(st.integers(1, 6))
  levels = st.sampled_from([-3.0, -1.0, 0.0, 0.5])
  row = st.lists(levels, min_size=videos, max_size=videos)
  scores = draw(st.lists(row, min_size=texts, max_size=texts))
  owner = draw(st.lists(st.integers(0, videos - 1), min_size=texts, max_size=texts))
  return np.array(scores), np.array(owner)


@given(scored_texts())
def test_equals_the_definition(case: tuple[np.ndarray, np.ndarray]) -> None:
  scores, owner = case
  for rank, naive in zip(FROM_SCORES, (naive_text_to_video, naive_video_to_text), strict=True):
    ranks, places = rank(scores, owner), naive(scores, owner)
    np.testing.assert_array_equal(ranks.rank, [np.mean(p) for p in places])
    for k in (1, 2, 5):
      expected = [np.mean(np.array(p) <= k) for p in places]
      np.testing.assert_allclose(ranks.recall_at(k), expected)


@given(st.integers(1, 8), st.integers(1, 5), st.integers(0, 10_000))
def test_embeddings_and_their_scores_agree(texts: int, videos: int, seed: int) -> None:
  rng = np.random.default_rng(seed)
  text = rng.integers(-2, 3, (texts, 3)).astype(np.float32)  # Products of integers are exact.
  video = rng.integers(-2, 3, (videos, 3)).astype(np.float32)
  owner = rng.integers(0, videos, texts)
  for rank, from_scores in zip(FROM_EMBEDDINGS, FROM_SCORES, strict=True):
    one, other = rank(text, video, owner), from_scores(text @ video.T, owner)
    np.testing.assert_array_equal(one.rank, other.rank)
    np.testing.assert_array_equal(one.video, other.video)
    assert one.gallery == other.gallery


def test_many_captions_by_hand() -> None:
  """Three videos with 2, 1 and 3 captions, in mixed order."""
  owner = np.array([2, 0, 1, 2, 0, 2])
  scores = np.array([
      [0.9, 0.1, 0.2],  # Of video 2, but looks like video 0: rank 2.
      [0.8, 0.3, 0.1],  # Rank 1.
      [0.5, 0.4, 0.6],  # Of video 1: rank 3.
      [0.1, 0.2, 0.7],  # Rank 1.
      [0.2, 0.2, 0.1],  # Of video 0, tied with video 1: rank 1.5.
      [0.0, 0.1, 0.05],  # Of video 2: rank 2.
  ])
  to_video = retrieval.text_to_video_from_scores(scores, owner)
  np.testing.assert_array_equal(to_video.rank, [2, 1, 3, 1, 1.5, 2])
  np.testing.assert_array_equal(to_video.recall_at(1), [0, 1, 0, 1, 0.5, 0])
  np.testing.assert_array_equal(to_video.video, owner)
  assert to_video.gallery == 3
  # A group scores as its best caption. For video 0: groups 0.8, 0.5, 0.9: rank 2; for video 1:
  # 0.3, 0.4, 0.2: rank 1; for video 2: 0.1, 0.6, 0.7: rank 1.
  to_text = retrieval.video_to_text_from_scores(scores, owner)
  np.testing.assert_array_equal(to_text.rank, [2, 1, 1])
  np.testing.assert_array_equal(to_text.video, [0, 1, 2])
  assert to_text.gallery == 3


@both_from_scores
def test_constant_scores_are_chance(rank: Callable[..., Ranks]) -> None:
  """Others print R@1 = 100 here, or several ranks a query."""
  owner = np.repeat(np.arange(40), 3)
  ranks = rank(np.zeros((120, 40)), owner)
  np.testing.assert_allclose(ranks.rank, 20.5)
  for k in (1, 5, 10):
    np.testing.assert_allclose(ranks.recall_at(k), k / 40)


@both_from_embeddings
@pytest.mark.parametrize("width", [64, 513])
def test_a_collapsed_model_is_chance(rank: Callable[..., Ranks], width: int) -> None:
  """Equal embeddings at many places of a matrix product, which rounds each place its own way."""
  rng = np.random.default_rng(0)
  video = np.repeat(rng.normal(size=(1, width)), 997, axis=0).astype(np.float32)
  text = np.repeat(rng.normal(size=(1, width)), 997, axis=0).astype(np.float32)
  ranks = rank(text, video, rng.permutation(997))
  np.testing.assert_array_equal(ranks.rank, 499.0)
  np.testing.assert_allclose(ranks.recall_at(10), 10 / 997)


def test_equal_captions_of_different_videos_tie() -> None:
  """MSVD repeats captions between videos: no such caption can be certain of its video."""
  rng = np.random.default_rng(1)
  text, video = rng.normal(size=(600, 96)), rng.normal(size=(300, 96))
  owner = np.arange(600) // 2
  text[[101, 257, 400]] = text[13]
  ranks = retrieval.video_to_text(text.astype(np.float32), video.astype(np.float32), owner)
  best = np.maximum.reduceat(video @ text.T, np.arange(0, 600, 2), axis=1)
  expected = [naive_places([round(x, 9) for x in row], i) for i, row in enumerate(best)]
  np.testing.assert_array_equal(ranks.rank, [np.mean(p) for p in expected])
  assert ranks.ties.sum() > 0


@both_from_scores
def test_negative_scores_count_like_any_other(rank: Callable[..., Ranks]) -> None:
  """torchmetrics takes a target with a score <= 0 for a miss."""
  rng = np.random.default_rng(2)
  scores = (4 * rng.normal(size=(30, 10))).round() / 4  # Exact in binary, with ties.
  owner = np.arange(30) // 3
  scores[np.arange(30), owner] += 1
  for shifted in (scores - 100, -1 / (scores + 100)):
    np.testing.assert_array_equal(rank(shifted, owner).rank, rank(scores, owner).rank)


def test_minus_zero_is_zero() -> None:
  video = np.array([[0.0, 1.0], [-0.0, 1.0]], np.float32)
  ranks = retrieval.text_to_video(np.ones((1, 2), np.float32), video, np.array([0]))
  assert ranks.ties.tolist() == [1]


def test_videos_without_text_distract_but_do_not_ask() -> None:
  video = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
  text = np.array([[1.0, 0.0], [0.0, 1.0]])
  owner = np.array([0, 1])
  to_video = retrieval.text_to_video(text, video, owner)
  np.testing.assert_array_equal(to_video.rank, [2, 1])
  assert to_video.gallery == 3
  to_text = retrieval.video_to_text(text, video, owner)
  np.testing.assert_array_equal(to_text.rank, [1, 1])
  np.testing.assert_array_equal(to_text.video, [0, 1])
  assert to_text.gallery == 2


@both_from_embeddings
@pytest.mark.parametrize("copies", [False, True])
def test_blocks_change_nothing_but_memory(
    rank: Callable[..., Ranks], copies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
  rng = np.random.default_rng(3)
  text = rng.normal(size=(3000, 8)).astype(np.float32)
  video = rng.normal(size=(1000, 8)).astype(np.float32)
  owner = rng.permutation(np.arange(3000) % 1000)
  if copies:
    text[1], video[1] = text[0], video[0]
  whole = rank(text, video, owner)
  monkeypatch.setattr(retrieval, "SCORE_BYTES", 1 << 19)
  tracemalloc.start()
  parts = rank(text, video, owner)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  np.testing.assert_array_equal(whole.rank, parts.rank)
  fixed = 2 * (text.nbytes + video.nbytes) + 12 * 8 * len(text)  # Copies, and integers per row.
  assert peak < fixed + 2 * retrieval.SCORE_BYTES


def test_half_precision_embeddings_are_ranked_in_single() -> None:
  """In half precision the products 2048 and 2049 would tie."""
  video = np.array([[2048.0, 1.0], [2048.0, 0.0]], np.float16)
  ranks = retrieval.text_to_video(np.ones((1, 2), np.float16), video, np.array([1]))
  assert ranks.rank.tolist() == [2.0]


def test_summary_by_hand() -> None:
  ranks = Ranks(
      greater=np.array([0, 0, 4, 30]),
      ties=np.array([0, 1, 0, 0]),
      video=np.array([0, 0, 1, 2]),
      gallery=40,
  )
  summary = retrieval.summarise(ranks, resamples=200)
  assert summary["recall_at_1"] == pytest.approx(37.5)  # 1, 1/2, 0, 0.
  assert summary["recall_at_5"] == pytest.approx(75)
  assert summary["recall_at_10"] == pytest.approx(75)
  assert summary["median_rank"] == pytest.approx(3.25)  # Of 1, 1.5, 5, 31.
  assert summary["mean_rank"] == pytest.approx(9.625)
  assert (summary["queries"], summary["gallery"]) == (4, 40)
  assert summary["interval"]["recall_at_1"] == [0.0, 75.0]
  names = {"recall_at_1", "recall_at_5", "recall_at_10", "median_rank", "mean_rank"}
  assert set(summary["interval"]) == names
  assert json.loads(json.dumps(summary)) == summary
  assert summary == retrieval.summarise(ranks, resamples=200)


@both_from_embeddings
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": np.full((2, 3), np.nan)}, "embedding of text 0 is not finite .2 of 2"),
        ({"video": np.array([[1, 1, 1], [1, np.inf, 1]])}, "embedding of video 1 is not finite"),
        ({"text": np.zeros((0, 3)), "owner": np.zeros(0, int)}, "0 texts and 2 videos"),
        ({"video": np.zeros((0, 3))}, "2 texts and 0 videos"),
        ({"video": np.ones((2, 4))}, r"texts .*\(2, 3\): give numbers \[texts, 4 width\]"),
        ({"owner": np.array([0])}, "1 owners for 2 examples"),
        ({"owner": np.array([0, 2])}, "text 1 belongs to video 2, but there are 2"),
        ({"owner": np.array([-1, 0])}, "text 0 belongs to video -1"),
    ],
)
def test_bad_embeddings(rank: Callable[..., Ranks], change: dict, said: str) -> None:
  inputs = {"text": np.ones((2, 3)), "video": np.ones((2, 3)), "owner": np.arange(2)} | change
  with pytest.raises(UserError, match=said):
    rank(**inputs)


@both_from_scores
@pytest.mark.parametrize(
    ("scores", "owner", "said"),
    [
        (np.array([[1, 1], [np.nan, 1]]), np.arange(2), "has a NaN"),
        (np.zeros((0, 2)), np.zeros(0, int), "0 texts"),
        (np.zeros(4), np.arange(2), r"scores .*\(4,\): give numbers \[texts, videos\]"),
        (np.zeros((2, 2)), np.array([0, 5]), "text 1 belongs to video 5"),
    ],
)
def test_bad_scores(
    rank: Callable[..., Ranks], scores: np.ndarray, owner: np.ndarray, said: str
) -> None:
  with pytest.raises(UserError, match=said):
    rank(scores, owner)


def test_a_product_that_overflows_is_named() -> None:
  huge = np.full((1, 2), 3e38, np.float32)
  mixed = np.array([[3e38, -3e38]], np.float32)
  with pytest.raises(UserError, match="query 0 has a NaN"), np.errstate(all="ignore"):
    retrieval.text_to_video(mixed, huge, np.array([0]))


def test_distractors_stand_in_the_gallery_of_texts() -> None:
  """Against a loop: a text of no video pushes a video's own group back, ties shared."""
  rng = np.random.default_rng(3)
  video, owner = rng.normal(size=(7, 4)), np.array([0, 0, 1, 2, 3, 4, 4, 5, 6, 6])
  text, others = rng.normal(size=(10, 4)), rng.normal(size=(5, 4))
  others[0] = text[2]  # A tie with the own text of video 1.
  scores, beside = text @ video.T, others @ video.T
  expected = []
  for v in range(7):
    groups = [scores[owner == other, v].max() for other in range(7)]
    own = groups[v]
    rivals = np.array([s for other, s in enumerate(groups) if other != v] + beside[:, v].tolist())
    close = np.isclose(rivals, own, rtol=0, atol=1e-12)
    expected.append(1 + (rivals[~close] > own).sum() + 0.5 * close.sum())
  found = retrieval.video_to_text(text, video, owner, others)
  assert found.gallery == 12
  assert found.rank.tolist() == expected
  assert retrieval.video_to_text_from_scores(scores, owner, beside).rank.tolist() == expected
  plain = retrieval.video_to_text(text, video, owner)
  none = retrieval.video_to_text(text, video, owner, others[:0])
  assert (none.rank.tolist(), none.gallery) == (plain.rank.tolist(), plain.gallery)
  shuffled = np.random.default_rng(0).permutation(10)
  moved = retrieval.video_to_text(text[shuffled], video, owner[shuffled], others)
  assert moved.rank.tolist() == expected
  with pytest.raises(UserError, match="not finite"):
    retrieval.video_to_text(text, video, owner, np.full((1, 4), np.nan))
