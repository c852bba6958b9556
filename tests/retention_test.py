from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mla_jax.retention import LastAndBest

_SCORES = st.none() | st.sampled_from([0.0, 1.0, 2.0, -1.0, float("nan")])


@given(scores=st.lists(_SCORES, max_size=8), keep_last=st.integers(1, 3))
def test_the_last_and_the_best_are_kept(scores: list[float | None], keep_last: int) -> None:
  # Step by step, as the manager asks: what is dropped once is gone.
  policy = LastAndBest(keep_last, "score")
  kept: dict[int, Any] = {}
  for step, score in enumerate(scores):
    kept[step] = None if score is None else {"score": score, "other": 9.0}
    kept = {known: kept[known] for known in policy.kept(kept)}
  known = [(step, s) for step, s in enumerate(scores) if s is not None and s == s]
  best = {max(known, key=lambda pair: (pair[1], -pair[0]))[0]} if known else set()
  assert set(kept) == set(range(len(scores))[-keep_last:]) | best
  assert policy.best(kept) == next(iter(best), None)


def test_without_a_metric_only_the_last_are_kept() -> None:
  policy = LastAndBest(2, None)
  assert policy.kept({1: {"score": 9.0}, 2: None, 3: {}}) == {2, 3}
  assert policy.best({1: {"score": 9.0}}) is None
