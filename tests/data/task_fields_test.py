"""Candidates, counts and moments of a record as fields of an example."""

import dataclasses
import functools
import pathlib

import numpy as np
import pytest

from mla_jax.data import examples
from mla_jax.data.annotations.schema import Segment, Subtitle
from mla_jax.data.examples import Shapes
from mla_jax.data.record_format import TextRecord
from mla_jax.data.subtitles import spoken
from mla_jax.data.task_fields import TaskFields, with_answer
from mla_jax.data.text import Tokenizer, train_tokenizer
from mla_jax.errors import UserError
from mla_jax.tasks.multiple_choice_qa import cut_texts

SHAPES = Shapes(4, 2, 12, 3, 1, 16, 0.8, 1.0)
RECORD = TextRecord(
    "q1", "v", -1, "what is it ?", (Segment(0, 10),), answer="a dog", candidates=("a cat", "a dog"),
    answer_index=1, moments=((1.0, 2.0), (4.0, 6.5)), count=-1,
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
  path: pathlib.Path = tmp_path_factory.mktemp("text") / "tokenizer.model"
  train_tokenizer(["what is it ?", "a cat", "a dog", "3 times"] * 6, path, 60)
  return Tokenizer.load(path)


def fields(tokenizer, wanted, record=RECORD, **options):
  options = {"answers": None, "align": False} | options
  return examples.example_fields(record, tokenizer, SHAPES, wanted=wanted, **options)


def test_each_candidate_stands_behind_the_question_as_a_segment_of_its_own(tokenizer):
  found = fields(tokenizer, TaskFields(candidates=3))
  assert found["candidate_text"].shape == (3, 12)
  assert found["candidate_mask"].tolist() == [True, True, False]
  assert found["answer"] == 1
  for row, candidate in enumerate(RECORD.candidates):
    segments = (Segment(0, 10), Segment(13, 18))
    alone = tokenizer.encode(
        f"what is it ? {candidate}", segments, length=12, most_segments=3)
    np.testing.assert_array_equal(found["candidate_text"][row], alone.ids)
    np.testing.assert_array_equal(found["candidate_text_mask"][row], alone.mask)
    np.testing.assert_array_equal(found["candidate_text_segment"][row], alone.segment)
    assert set(alone.segment[alone.mask]) == {0, 1, 2}
  assert not found["candidate_text_mask"][2].any()


HEARD = dataclasses.replace(
    RECORD,
    subtitles=(
        Subtitle("early", 0.0, 0.5),
        Subtitle("into it", 0.0, 1.0),
        Subtitle("late", 9.0, 9.5),
        Subtitle("second", 6.5, 7.0),
        Subtitle("around both", 0.5, 8.0),
        Subtitle("at once", 5.0, 5.0),
    ),
)


@pytest.mark.parametrize(
    ("which", "moments", "said"),
    [
        ("", RECORD.moments, ""),
        ("all", RECORD.moments, "early into it late second around both at once"),
        ("moment", RECORD.moments, "into it second around both at once"),
        ("moment", ((20.0, 21.0),), ""),
        ("moment", (), "early into it late second around both at once"),  # nan-nan: no moment.
    ],
)
def test_what_is_said_at_the_moments_of_a_question(which, moments, said):
  assert spoken(dataclasses.replace(HEARD, moments=moments), which) == said


def test_what_is_said_stands_behind_each_candidate_and_is_cut_first(tokenizer):
  long = dataclasses.replace(HEARD, subtitles=(Subtitle("a cat a dog " * 9, 0.0, 9.0),))
  plain = fields(tokenizer, TaskFields(candidates=3))
  found = fields(tokenizer, TaskFields(candidates=3, subtitles="all"), long)
  segments = (Segment(0, 10), Segment(13, 18))
  for row, candidate in enumerate(RECORD.candidates):
    own = plain["candidate_text_mask"][row]
    for name in ("candidate_text", "candidate_text_segment"):
      np.testing.assert_array_equal(found[name][row][own], plain[name][row][own])
    alone = tokenizer.encode(
        f"what is it ? {candidate} " + "a cat a dog " * 9, segments, length=12, most_segments=3)
    np.testing.assert_array_equal(found["candidate_text"][row], alone.ids)
    assert found["candidate_text_mask"][row].all()
    assert not found["candidate_text_segment"][row][~own].any()
  assert not found["candidate_text_mask"][2].any()


def test_what_is_said_aligns_with_nothing(tokenizer):
  heard = fields(tokenizer, TaskFields(candidates=3, subtitles="all"), HEARD, align=True)
  plain = fields(tokenizer, TaskFields(candidates=3), align=True)
  for name in ("align_text", "text"):
    np.testing.assert_array_equal(heard[name], plain[name])


def test_what_is_cut_is_counted(tokenizer):
  """Questions once each, whichever of their candidates is too long."""
  at = max(tokenizer.count(f"what is it ? {candidate}") for candidate in RECORD.candidates)
  more = at + max(tokenizer.count(f" {word}") for word in ("early", "late"))
  short = dataclasses.replace(HEARD, subtitles=())
  for length, which, expected in (
      (at, "", {"questions_cut": 0}),
      (at - 1, "", {"questions_cut": 2}),
      (
          at,
          "all",
          {"questions_cut": 0, "questions_with_subtitles": 1, "subtitles_cut": 1},
      ),
      (
          more + 100,
          "moment",
          {"questions_cut": 0, "questions_with_subtitles": 1, "subtitles_cut": 0},
      ),
  ):
    assert cut_texts([HEARD, short], tokenizer, length, which) == expected


def test_only_training_holds_the_answer(tokenizer):
  for wanted in (TaskFields(candidates=2), TaskFields(count=True)):
    assert not any(name.startswith("align_") for name in fields(tokenizer, wanted))
  found = fields(tokenizer, TaskFields(candidates=2), align=True)
  np.testing.assert_array_equal(found["align_text"], found["candidate_text"][1])
  counted = TextRecord("q2", "v", -1, "a dog ?", (Segment(0, 5),), count=3)
  found = fields(tokenizer, TaskFields(count=True), counted, align=True)
  expected = examples.tokenize(*with_answer("a dog ?", (Segment(0, 5),), "3"), tokenizer, SHAPES)[0]
  np.testing.assert_array_equal(found["align_text"], expected.ids)
  assert found["count"] == 3


def test_a_moment_is_one_of_the_texts(tokenizer):
  wanted = TaskFields(moment=True)
  drawn = {
      tuple(fields(tokenizer, wanted, rng=functools.partial(np.random.default_rng, seed))["moment"])
      for seed in range(20)
  }
  assert drawn == {(1.0, 2.0), (4.0, 6.5)}
  without = TextRecord("q", "v", -1, "a dog", (Segment(0, 5),))
  assert np.isnan(fields(tokenizer, wanted, without)["moment"]).all()


def test_padding_is_nothing(tokenizer):
  wanted = TaskFields(candidates=2, count=True, moment=True)
  blank = examples.blank_fields(fields(tokenizer, wanted, align=True))
  assert blank["answer"] == blank["count"] == -1
  assert np.isnan(blank["moment"]).all()
  assert not blank["candidate_mask"].any() and not blank["candidate_text_mask"].any()


def test_a_caption_among_candidates_is_cut_into_phrases():
  text, segments = with_answer("", (), "a small dog runs over the green grass")
  assert text == "a small dog runs over the green grass"
  assert len(segments) > 1
  assert segments[0].start == 0 and segments[-1].end == len(text)


def test_too_many_candidates_name_the_key(tokenizer):
  with pytest.raises(UserError, match=r"q1 of v: has 2 candidates, data.candidates=1: raise it"):
    fields(tokenizer, TaskFields(candidates=1))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (TaskFields(candidates=2), "no candidates"),
        (TaskFields(count=True), "no count"),
        (TaskFields(moment=True), "no moment"),
    ],
)
def test_a_text_of_another_task_is_refused(wanted, message):
  with pytest.raises(UserError, match=message):
    wanted.check(TextRecord("q", "v", -1, "a dog", ()))
  full = TextRecord(
      "q", "v", -1, "a dog", (), candidates=("a",), moments=((0.0, 1.0),), count=0)
  wanted.check(full)


def test_a_task_that_asks_nothing_trains_on_the_question_with_its_answer(tokenizer):
  trained = fields(tokenizer, TaskFields(), align=True)
  statement, segments = with_answer(RECORD.text, RECORD.segments, RECORD.answer)
  alone = tokenizer.encode(statement, segments, length=12, most_segments=3)
  np.testing.assert_array_equal(trained["text"], alone.ids)
  np.testing.assert_array_equal(trained["text_segment"], alone.segment)
  evaluated = fields(tokenizer, TaskFields())
  question = tokenizer.encode(RECORD.text, RECORD.segments, length=12, most_segments=3)
  np.testing.assert_array_equal(evaluated["text"], question.ids)
