"""Cutting and joining segments: spans, sentences, phrases, spaCy by name."""

import itertools
import math
import re
import sys
import types
from typing import Any
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
import pytest

from mla_jax.data import segments
from mla_jax.data.annotations.schema import Segment
from mla_jax.data.segments import cut_text, merge_segments
from mla_jax.errors import UserError

_SOME = """
    a man is teaching math by using the white board what doing two dogs and sits his of to up in
    front , - ... ( ) & ? ! . Mr. "so" it's very slowly her that who"""
_WORDS = st.sampled_from(_SOME.split())
_TEXTS = st.text(max_size=60) | st.lists(_WORDS, max_size=25).map(" ".join) | st.text(
    alphabet="a .!?,-&\n\t\u00e9\u0301\u3000猫。ि😀\u200b", max_size=40)


def _parts(text: str, spacy_model: str | None = None) -> list[str]:
  return [text[s.start:s.end] for s in cut_text(text, spacy_model)]


@given(_TEXTS)
def test_spans_are_ordered_disjoint_trimmed_and_complete(text: str) -> None:
  cut = cut_text(text)
  edges = [edge for segment in cut for edge in (segment.start, segment.end)]
  assert edges == sorted(edges)
  assert all(0 <= s.start < s.end <= len(text) for s in cut)
  parts = [text[s.start:s.end] for s in cut]
  assert all(part == part.strip() for part in parts)
  assert bool(cut) == bool(text.strip())
  covered = {place for s in cut for place in range(s.start, s.end)}
  assert all(place in covered for place, character in enumerate(text) if character.isalnum())
  assert all(math.isnan(s.start_time) and math.isnan(s.end_time) for s in cut)
  if len(cut) > 1:  # A text without a word is one segment; else each has a word.
    assert all(any(_in_word(character) for character in part) for part in parts)


def _in_word(character: str) -> bool:
  return character.isalnum() or unicodedata.category(character)[0] == "M"


@pytest.mark.parametrize(("text", "parts"), [
    ("a man is teaching math by using a white board",
     ["a man", "is teaching math", "by using a white board"]),
    ("a man and a woman are talking", ["a man and a woman", "are talking"]),
    ("a man is singing and dancing", ["a man", "is singing and dancing"]),
    ("a man is singing and playing the guitar", ["a man", "is singing", "and playing the guitar"]),
    ("two dogs, a cat and some birds", ["two dogs", "a cat and some birds"]),
    ("a person picks up a red ball", ["a person", "picks up a red ball"]),
    ("a boy is walking down the street", ["a boy", "is walking", "down the street"]),
    ("a cat jumps out of the box", ["a cat", "jumps out of the box"]),
    ("a girl sits in front of a group of people",
     ["a girl", "sits in front", "of a group of people"]),
    ("salt & pepper in a bowl", ["salt & pepper", "in a bowl"]),
    ("people swim in a swimming pool", ["people swim", "in a swimming pool"]),
    ("while he is cooking the dog barks", ["while he is cooking", "the dog barks"]),
    ("a man lies on his back", ["a man", "lies on his back"]),
    ("what is a man doing?", ["what is", "a man doing"]),
    ("how many people are dancing?", ["how many people", "are dancing"]),
    ("who is demonstrating on a whiteboard?", ["who is demonstrating", "on a whiteboard"]),
    ("what does the woman put into the bowl?", ["what does", "the woman put", "into the bowl"]),
    ("the man wants to open the box", ["the man wants", "to open the box"]),
    ("a young man who wears a hat runs", ["a young man", "who wears a hat runs"]),
])
def test_phrases(text: str, parts: list[str]) -> None:
  assert _parts(text) == parts


@given(st.lists(_WORDS.filter(str.isalpha), min_size=1, max_size=40))
def test_phrases_have_at_most_five_words(words: list[str]) -> None:
  text = " ".join(words)
  assert all(len(part.split()) <= 5 for part in _parts(text))


@pytest.mark.parametrize(("text", "parts"), [
    ("A man runs. He falls!  Then?", ["A man runs.", "He falls!", "Then?"]),
    ('He says "go." She goes…', ['He says "go."', "She goes…"]),
    ("It ends... Then it begins.", ["It ends...", "Then it begins."]),
    ("Go! !! - Now.", ["Go! !!", "- Now."]),
    ("... A dog. ", ["A dog"]),
    ("猫が寝る。犬が走る。", ["猫が寝る。", "犬が走る。"]),
])
def test_several_sentences_are_the_segments(text: str, parts: list[str]) -> None:
  assert _parts(text) == parts


@pytest.mark.parametrize("text", ["Mr. Smith meets Dr. J. Jones", "version 2.5 runs", "a.b c"])
def test_a_dot_does_not_always_end_a_sentence(text: str) -> None:
  assert "." not in {part[-1] for part in _parts(text)}


def test_texts_without_words() -> None:
  assert cut_text("") == cut_text(" \n") == ()
  assert _parts(" ??  !! ") == ["??  !!"]
  assert _parts("😀") == ["😀"]


def test_a_very_long_text() -> None:
  assert len(_parts("man " * 10_000)) >= 2_000
  assert len(_parts("He runs. " * 10_000)) == 10_000


_SEGMENTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 9), st.sampled_from([math.nan, 0.0, 1.5]),
              st.floats(0.5, 9)), max_size=12)


def _build(gaps: list[tuple[int, int, float, float]]) -> tuple[Segment, ...]:
  built, end = [], 0
  for gap, size, start_time, length in gaps:
    start, end = end + gap, end + gap + size
    built.append(Segment(start, end, start_time, start_time + length))
  return tuple(built)


def _merged_slowly(segments: tuple[Segment, ...], most: int) -> list[tuple[int, int]]:
  spans = [(s.start, s.end) for s in segments]
  while len(spans) > most:
    lengths = [after[1] - before[0] for before, after in itertools.pairwise(spans)]
    place = lengths.index(min(lengths))
    spans[place : place + 2] = [(spans[place][0], spans[place + 1][1])]
  return spans


@given(_SEGMENTS, st.integers(1, 6))
def test_merging_joins_the_shortest_neighbours(
    gaps: list[tuple[int, int, float, float]], most: int) -> None:
  given_segments = _build(gaps)
  merged = merge_segments(given_segments, most)
  assert [(s.start, s.end) for s in merged] == _merged_slowly(given_segments, most)
  for whole in merged:
    inside = [s for s in given_segments if whole.start <= s.start and s.end <= whole.end]
    known = [s for s in inside if not math.isnan(s.start_time)]
    if known:
      assert whole.start_time == min(s.start_time for s in known)
      assert whole.end_time == max(s.end_time for s in known)
    else:
      assert math.isnan(whole.start_time)
      assert math.isnan(whole.end_time)


def test_merging_keeps_what_fits_and_wants_a_place() -> None:
  few = (Segment(0, 3, 1.0, 2.0), Segment(4, 6))
  assert merge_segments(few, 2) is few
  with pytest.raises(ValueError, match="at least one"):
    merge_segments(few, 0)


def test_merging_thousands_is_fast_enough() -> None:
  many = tuple(Segment(5 * n, 5 * n + 4) for n in range(20_000))
  assert len(merge_segments(many, 4)) == 4


def test_spacy_is_asked_for_only_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setitem(sys.modules, "spacy", None)
  assert _parts("a man runs") == ["a man runs"]
  segments._load_spacy.cache_clear()
  with pytest.raises(UserError, match=r"'en_core_web_sm': spaCy is not installed"):
    cut_text("a man runs", "en_core_web_sm")


def test_a_spacy_model_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
  def load(name: str, **_: Any) -> Any:
    raise OSError(f"[E050] Can't find model {name!r}")

  monkeypatch.setitem(sys.modules, "spacy", types.SimpleNamespace(load=load))
  segments._load_spacy.cache_clear()
  with pytest.raises(UserError, match=r"'nope': not installed: install it"):
    cut_text("a man runs", "nope")


class _Token(types.SimpleNamespace):
  """What is read of a spaCy token."""


class _Document(list[_Token]):
  """What is read of a spaCy document: one token a word."""

  lang_ = "xx"

  def __init__(self, text: str, tags: str):
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    tokens = zip(starts, tags.split(), strict=True)
    super().__init__(_Token(idx=idx, pos_=tag, dep_="") for idx, tag in tokens)

  def has_annotation(self, name: str) -> bool:
    return False


def _use_tags(monkeypatch: pytest.MonkeyPatch, tags: str) -> None:
  def load(name: str, exclude: list[str]) -> Any:
    return lambda text: _Document(text, tags)

  monkeypatch.setitem(sys.modules, "spacy", types.SimpleNamespace(load=load))
  segments._load_spacy.cache_clear()


def test_spacy_tags_tell_the_verbs(monkeypatch: pytest.MonkeyPatch) -> None:
  text = "the dog grokked a bone"
  _use_tags(monkeypatch, "DET NOUN VERB DET NOUN")
  assert _parts(text, "some_model") == ["the dog", "grokked a bone"]
  _use_tags(monkeypatch, "DET NOUN NOUN DET NOUN")
  assert _parts(text, "some_model") == ["the dog grokked", "a bone"]


def test_a_spacy_model_without_a_tagger(monkeypatch: pytest.MonkeyPatch) -> None:
  class Untagged(_Document):
    def __init__(self, text: str):
      super().__init__(text, "X " * len(text.split()))
      for token in self:
        token.pos_ = ""

  load = types.SimpleNamespace(load=lambda name, exclude: Untagged)
  monkeypatch.setitem(sys.modules, "spacy", load)
  segments._load_spacy.cache_clear()
  with pytest.raises(UserError, match=r"has no tagger: name one that has"):
    cut_text("a man runs", "blank")
