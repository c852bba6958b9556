"""Cutting a text into segments, and joining segments until they are few enough."""

import functools
import heapq
import itertools
import math
import re
from typing import Any

from mla_jax.data import phrases
from mla_jax.data.annotations.schema import Segment
from mla_jax.data.phrase_words import Kind
from mla_jax.errors import UserError

# A sentence's end: its marks and closing quotes, then a blank; not behind a title or an initial.
_SENTENCE_END = re.compile(
    r"(?:(?<!\bmr)(?<!\bmrs)(?<!\bms)(?<!\bdr)(?<!\bst)(?<!\bvs)(?<!\betc)(?<!\b\w)[.]|[!?…])"
    r"""["'”’)\]]*(?=\s)|[。！？]""", re.IGNORECASE)

_SPACY_KINDS = {
    "VERB": Kind.VERB, "AUX": Kind.AUXILIARY, "ADV": Kind.ADVERB, "ADJ": Kind.ADJECTIVE,
    "ADP": Kind.PREPOSITION, "PRON": Kind.PRONOUN, "DET": Kind.DETERMINER, "NUM": Kind.DETERMINER,
    "SCONJ": Kind.OPENER, "CCONJ": Kind.COORDINATOR}


def cut_text(text: str, spacy_model: str | None = None) -> tuple[Segment, ...]:
  """Cuts a text into sentences if it has several, else into phrases of mostly two to five words.

  A sentence ends with `.`, `!`, `?` or `…` before a blank ("Mr." and initials excepted). Phrases
  follow the rules of `mla_jax.data.phrases`; they begin and end with a letter or digit, so that
  punctuation between them belongs to none. Times are NaN.

  Args:
    text: any text; English for sensible phrases.
    spacy_model: name of an installed spaCy pipeline with a tagger, which then tells sentences and
      verbs instead of the rules.

  Returns:
    Segments in order, disjoint, none empty, no blank at their ends, together covering every letter
    and digit; at least one unless the text is blank.

  Raises:
    UserError: spaCy or the model is not installed, or the model has no tagger.
  """
  document = _load_spacy(spacy_model)(text) if spacy_model else None
  sentences = _sentences(text, document)
  if len(sentences) > 1:
    return tuple(Segment(start, end) for start, end in sentences)
  words = phrases.find_words(text)
  if not words:
    return _whole(text)
  tagged = [] if document is None else _spacy_kinds(words, document)
  kinds = phrases.classify(words, tagged)
  return tuple(
      Segment(words[first].start, words[end - 1].end)
      for first, end in phrases.cut_phrases(words, kinds))


def merge_segments(segments: tuple[Segment, ...], most: int) -> tuple[Segment, ...]:
  """Joins neighbours until at most `most` are left.

  Each step joins the two neighbours that are shortest together (characters from the beginning of
  the first to the end of the second; the first such pair). A joined segment covers what lies
  between the two; its time is from the earlier start to the later end, of those that are known.

  Args:
    segments: in order and disjoint.
    most: at least 1.
  """
  if most < 1:
    raise ValueError(f"most={most}: at least one segment must stay")
  if len(segments) <= most:
    return segments
  alive = dict(enumerate(segments))
  left = {place: place - 1 for place in alive}
  right = {place: place + 1 for place in alive}
  heap = [(second.end - first.start, place)
          for place, (first, second) in enumerate(itertools.pairwise(segments))]
  heapq.heapify(heap)
  while len(alive) > most:
    length, place = heapq.heappop(heap)
    other = right[place]
    if place not in alive or other not in alive or alive[other].end - alive[place].start != length:
      continue  # The pair has changed since it was measured.
    alive[place] = _union(alive[place], alive.pop(other))
    right[place] = right[other]
    for start, end in ((left[place], place), (place, right[place])):
      if start in alive and end in alive:
        left[end] = start
        heapq.heappush(heap, (alive[end].end - alive[start].start, start))
  return tuple(alive.values())


def _union(first: Segment, second: Segment) -> Segment:
  # The builtins would let a NaN win or lose by its place.
  times = [(s.start_time, s.end_time) for s in (first, second) if not math.isnan(s.start_time)]
  if not times:
    return Segment(first.start, second.end)
  return Segment(first.start, second.end, min(t[0] for t in times), max(t[1] for t in times))


def _whole(text: str) -> tuple[Segment, ...]:
  """A text without a word as one segment; none where it is blank."""
  stripped = text.strip()
  start = len(text) - len(text.lstrip())
  return (Segment(start, start + len(stripped)),) if stripped else ()


def _sentences(text: str, document: Any) -> list[tuple[int, int]]:
  """Sentences without the blanks around them; one without a word joins the one before."""
  if document is not None and document.has_annotation("SENT_START"):
    ends = [sentence.end_char for sentence in document.sents]
  else:
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
  sentences: list[tuple[int, int]] = []
  start = 0
  for end in (*ends, len(text)):
    part = text[start:end]
    stripped = part.strip()
    if not stripped:
      continue
    first = start + len(part) - len(part.lstrip())
    before = text[slice(*sentences[-1])] if sentences else ""
    if not sentences or (phrases.find_words(part) and phrases.find_words(before)):
      sentences.append((first, first + len(stripped)))
    else:
      sentences[-1] = (sentences[-1][0], first + len(stripped))
    start = end
  return sentences


@functools.lru_cache(maxsize=2)
def _load_spacy(name: str) -> Any:
  try:
    import spacy  # Only for those who name a model.
  except ImportError:
    raise UserError(f"spaCy model {name!r}: spaCy is not installed: pip install spacy and the "
                    "model, or leave the model out") from None
  try:
    return spacy.load(name, exclude=["ner", "lemmatizer"])
  except OSError:
    raise UserError(f"spaCy model {name!r}: not installed: install it (python -m spacy download "
                    f"{name}), or leave it out") from None


def _spacy_kinds(words: list[phrases.Word], document: Any) -> list[Kind]:
  """The kinds of words by spaCy's tags."""
  tokens = {token.idx: token for token in document}
  if not any(token.pos_ for token in document):
    raise UserError(f"spaCy model {document.lang_!r}: has no tagger: name one that has, "
                    "or leave it out")
  kinds: list[Kind] = []
  for word in words:
    token = tokens.get(word.start)
    if token is None:
      kinds.append(Kind.NOUN)
    elif token.dep_ in ("amod", "compound"):
      kinds.append(Kind.ADJECTIVE)
    else:
      kinds.append(_SPACY_KINDS.get(token.pos_, Kind.NOUN))
  return kinds
