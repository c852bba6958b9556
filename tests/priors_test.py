"""Priors by hand: they know training alone, and are scored as a model would be."""

import dataclasses
import pathlib

import numpy as np
import pytest

from mla_jax import priors
from mla_jax.data import annotations
from mla_jax.data.record_format import TextRecord
from mla_jax.tasks.base import numbers


def record(text: str = "q", **changes) -> TextRecord:
  return TextRecord("id", "video", 0, text, (), **changes)


def test_an_answer_and_a_question_prior() -> None:
  training = [
      *(record("Who sings ?", answer=answer) for answer in ("man", "man", "dog")),
      *(record("what runs ?", answer="dog") for _ in range(2)),
  ]
  asked = [
      record("who naps ?", answer="man"),
      record("what falls ?", answer="dog"),
      record("why ?", answer="dog"),  # No such word: the most frequent of all.
      record("who ?", answer="zebra"),
  ]
  assert priors.answers(training, asked) == {"answer_prior": 50.0, "text_prior": 75.0}


def test_msvd_qas_priors(real_data: pathlib.Path) -> None:
  """Counted from the files: always "man" 14.1 %, the best answer to each first word 18.9 %."""
  read = annotations.read("msvd_qa", real_data / "annotations" / "msvd_qa")
  by_split = {
      split: [record(item.text, answer=item.answer) for item in read.items if item.split == split]
      for split in ("train", "test")
  }
  found = priors.answers(by_split["train"], by_split["test"])
  assert {name: round(value, 1) for name, value in found.items()} == {
      "answer_prior": 14.1, "text_prior": 18.9}


def choice(right: int, *candidates: str) -> TextRecord:
  return record(candidates=candidates, answer_index=right, answer=candidates[right])


def test_candidates_tell_their_answer() -> None:
  """The candidate "jump" is right whenever it is shown; where nothing is known all tie."""
  training = [choice(2, "run", "nap", "jump"), choice(2, "nap", "sit", "jump"),
              choice(0, "run", "nap", "sit")]
  asked = [choice(0, "jump", "run", "nap"), choice(2, "a", "b", "c"), choice(1, "nap", "run")]
  found = priors.choices(training, asked)
  assert found["answer_prior"] == pytest.approx(100 * (0 + 1 + 0) / 3)
  assert found["text_prior"] == pytest.approx(100 * (1 + 1 / 3 + 1) / 3)


def test_the_constant_count() -> None:
  training = [record(count=count) for count in (2, 3, 4, 0)]
  assert priors.counts(training, [record(count=5), record(count=0)]) == {
      "answer_prior": pytest.approx((9 + 4) / 2)}


def located(duration: float, *moments: tuple[float, float]) -> TextRecord:
  return record(duration=duration, moments=moments)


def test_moments_at_the_same_share_of_their_videos() -> None:
  training = [located(10.0, (5.0, 10.0)), located(40.0, (20.0, 40.0))]
  asked = [located(20.0, (10.0, 20.0)), located(8.0, (0.0, 4.0))]
  found = priors.moments(training, asked, "windows")
  assert found["mean_iou"] == pytest.approx(50.0)


def test_moments_at_the_same_seconds() -> None:
  training = [located(length, (0.0, 2.0)) for length in (4.0, 9.0, 31.0)]
  asked = [located(50.0, (0.0, 2.0)), located(1.5, (0.0, 1.5))]
  assert priors.moments(training, asked, "windows")["mean_iou"] == pytest.approx(100.0)


def test_a_window_behind_the_end_of_a_short_video_is_all_of_it() -> None:
  training = [located(length, (6.0, 8.0)) for length in (9.0, 30.0)]
  found = priors.moments(training, [located(5.0, (0.0, 5.0))], "windows")
  assert found["mean_iou"] == pytest.approx(100.0)


def test_moments_need_the_lengths_of_the_videos() -> None:
  known, unknown = located(9.0, (0.0, 2.0)), located(float("nan"), (0.0, 2.0))
  assert priors.moments([known], [unknown], "windows") == {}
  assert priors.moments([unknown], [known], "windows") == {}


def test_the_other_protocols_score_a_prior_too() -> None:
  didemo = [located(30.0, *[(0.0, 5.0)] * 4), located(25.0, *[(0.0, 5.0)] * 4)]
  assert numbers(priors.moments(didemo, didemo, "didemo"))["rank_at_1"] == 100.0
  highlights = [
      record(duration=10.0, moments=((2.0, 6.0),), saliency=((1, 4, 4, 4), (2, 4, 4, 4)))
      for _ in range(3)
  ]
  named = [
      TextRecord(f"q{i}", "v", 0, "q", (), moments=one.moments, duration=10.0,
                 saliency=one.saliency)
      for i, one in enumerate(highlights)
  ]
  found = numbers(priors.moments(named, named, "qvhighlights"))
  assert found["brief/MR-full-mAP"] == pytest.approx(100.0)
  assert np.isfinite(found["brief/MR-full-mAP"])


def test_equal_candidates_are_all_right_where_the_answer_is_a_text() -> None:
  """As in the evaluation: the first of them is no better than the last."""
  asked = [dataclasses.replace(choice(0, "a", "b", "a"), references=("a",))]
  training = [choice(2, "a", "b", "c")] * 3 + [choice(0, "b", "c", "a")]
  assert priors.choices(training, asked)["answer_prior"] == 100.0
  assert priors.choices(training, [choice(0, "a", "b", "a")])["answer_prior"] == 0.0
