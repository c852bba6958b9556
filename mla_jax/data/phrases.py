"""A rule-based chunker: English captions and questions cut into noun and verb phrases.

No part-of-speech model: words are sorted into kinds by short lists and endings (`phrase_words`),
and a phrase begins before a word

1. after punctuation (`, ; : . ! ? ( )` or a dash standing alone);
2. that opens a clause ("while", "who") or is the first of a row of prepositions ("out of the"); but
   "of" continues its noun phrase, and "up", "out", "off" their verb ("picks up");
3. that is the first of a verb group (auxiliary, verb, an adverb before it, "to" before a verb)
   behind a noun: "a man | is teaching". A pronoun stays with its verb: "while he is cooking";
4. that begins a second noun phrase behind a noun ("the dog | a bath") or the subject of a question
   ("what is | a man doing"); a first object stays with its verb: "is slicing an onion";
5. that is "and" or "or", unless it joins two short noun phrases ("a man and a woman") or two bare
   verbs ("is singing and dancing").

A word is a verb where a list, an ending and its neighbours say so: -ing not behind a determiner or
an adjective, -ed and irregular pasts behind a noun or an auxiliary, a common verb in -s behind a
noun, in its plain form behind "to", a modal or a plural. Then a phrase of more than five words is
cut, before "of", "and", a determiner or a preposition if it has one, near its middle; and one of a
single word joins a neighbour, if no punctuation is between them and the whole has at most five.
"""

from collections.abc import Sequence
import dataclasses
import re
import unicodedata

from mla_jax.data import phrase_words as lists
from mla_jax.data.phrase_words import Kind

MOST_WORDS = 5
_VERBAL = (Kind.VERB, Kind.AUXILIARY)
_NOMINAL = (Kind.NOUN, Kind.PRONOUN)
_PREPOSITIONAL = (Kind.PREPOSITION, Kind.PARTICLE, Kind.TO)
_STARTS_NOUN = (Kind.DETERMINER, Kind.ADJECTIVE, Kind.NOUN, Kind.PRONOUN)


@dataclasses.dataclass(frozen=True)
class Word:
  """`text[start:end]`, from a letter or digit to one.

  Attributes:
    start: first character.
    end: behind the last character.
    text: in lower case.
    after_stop: punctuation stands between it and the word before.
  """

  start: int
  end: int
  text: str
  after_stop: bool


def find_words(text: str) -> list[Word]:
  """The words between blanks, without the punctuation around them."""
  words: list[Word] = []
  stop = False
  for match in re.finditer(r"\S+", text):
    raw, start = match[0], match.start()
    if raw.isalnum():  # Most words; the rest of the loop would say the same.
      words.append(Word(start, match.end(), raw.lower(), stop and bool(words)))
      stop = False
      continue
    inside = [place for place, character in enumerate(raw) if _in_word(character)]
    if not inside:
      stop = stop or raw != "&"  # "rock & roll" is one phrase.
      continue
    first, last = inside[0], inside[-1] + 1
    stop = stop or any(mark in "([{;:,.!?-" for mark in raw[:first])
    words.append(Word(start + first, start + last, raw[first:last].lower(), stop and bool(words)))
    stop = any(mark in ")]},;:.!?" for mark in raw[last:])
  return words


def classify(words: list[Word], tagged: Sequence[Kind | None] = ()) -> list[Kind]:
  """The kind of each word, by the rules of this module.

  Args:
    words: of one text, in order.
    tagged: what a tagger says of each word; it counts for words that are in no list.
  """
  kinds: list[Kind] = []
  for place, word in enumerate(words):
    before = kinds[-1] if kinds and not word.after_stop else None
    following = words[place + 1].text if place + 1 < len(words) else ""
    previous = words[place - 1].text if before else ""
    tag = tagged[place] if tagged else None
    kinds.append(_kind(word.text, before, previous, following, tag))
  return kinds


def cut_phrases(words: list[Word], kinds: list[Kind]) -> list[tuple[int, int]]:
  """Phrases as (first word, last word + 1), in order, each word in exactly one."""
  starts = [0] if words else []
  for place in range(1, len(words)):
    if words[place].after_stop or _breaks(kinds, starts[-1], place):
      starts.append(place)
  phrases = list(zip(starts, [*starts[1:], len(words)], strict=True))
  return _join_single([part for phrase in phrases for part in _halve(phrase, kinds)], words, kinds)


def _in_word(character: str) -> bool:
  return character.isalnum() or unicodedata.category(character).startswith("M")


def _kind(
    word: str, before: Kind | None, previous: str, following: str, tag: Kind | None
) -> Kind:
  if before is None and word in lists.QUESTIONS:
    return Kind.QUESTION
  if word == "that" and following not in lists.PLURALS and _looks_nominal(following):
    return Kind.DETERMINER
  if word == "her" and not _looks_nominal(following):
    return Kind.PRONOUN
  if word == "like" and before is Kind.TO:
    return Kind.VERB
  if word in lists.CLOSED:
    kind = lists.CLOSED[word]
    # "on his back", "the inside".
    return Kind.NOUN if kind in _PREPOSITIONAL and previous in lists.ARTICLES else kind
  if tag is not None:
    return tag
  if _is_verb(word, before, previous):
    return Kind.VERB
  if word.endswith("ly") and len(word) > 4 and word not in lists.NOT_VERBS:
    return Kind.ADVERB
  return Kind.NOUN


def _looks_nominal(word: str) -> bool:
  kind = lists.CLOSED.get(word, Kind.NOUN if word else Kind.PREPOSITION)
  verb = word in lists.THIRD_PERSON or word in lists.PAST
  return kind in (Kind.NOUN, Kind.ADJECTIVE) and not verb


def _is_verb(word: str, before: Kind | None, previous: str) -> bool:
  if word.endswith("ing") and len(word) > 4 and word not in lists.NOT_VERBS:
    return before not in (Kind.DETERMINER, Kind.ADJECTIVE)
  if word in lists.PAST or (word.endswith("ed") and len(word) > 3 and word not in lists.NOT_VERBS):
    return before in (Kind.NOUN, Kind.PRONOUN, Kind.AUXILIARY, Kind.ADVERB, Kind.OPENER,
                      Kind.QUESTION, Kind.COORDINATOR)
  if word in lists.THIRD_PERSON:
    return before in (Kind.NOUN, Kind.PRONOUN, Kind.ADVERB, Kind.OPENER, Kind.QUESTION,
                      Kind.COORDINATOR)
  if word in lists.VERBS:
    return before is Kind.TO or previous in lists.MODALS or previous in lists.PLURALS
  return False


def _breaks(kinds: list[Kind], first: int, place: int) -> bool:
  """Whether a phrase begins at `place` when the last one began at `first`."""
  phrase = kinds[first:place]
  before, kind = phrase[-1], kinds[place]
  following = kinds[place + 1] if place + 1 < len(kinds) else None
  while kind is Kind.ADVERB and following in (Kind.ADVERB, *_VERBAL):
    place += 1
    kind, following = kinds[place], kinds[place + 1] if place + 1 < len(kinds) else None
  if kind is Kind.TO and following in _VERBAL:
    return before not in (*_VERBAL, Kind.ADVERB)
  if kind is Kind.COORDINATOR:
    return not _joins(phrase, kinds, place)
  if kind is Kind.OPENER:
    return True
  if kind in _PREPOSITIONAL:
    return _breaks_preposition(phrase, kind, following)
  if kind in _VERBAL:
    return _breaks_verb(phrase, kind)
  if kind in _STARTS_NOUN:
    return _breaks_noun(phrase, kind)
  return False  # "of", and adverbs behind what they describe.


def _joins(phrase: list[Kind], kinds: list[Kind], place: int) -> bool:
  following = kinds[place + 1 : place + 4]
  if not following:
    return True
  nominal = all(kind in _STARTS_NOUN for kind in phrase)
  if following[0] in (Kind.NOUN, Kind.ADJECTIVE):
    return phrase[-1] is not Kind.VERB and len(phrase) < 4
  if following[0] is Kind.DETERMINER:
    return nominal and len(phrase) <= 2
  if following[0] is Kind.VERB:  # "singing and dancing", but "singing | and playing a guitar".
    bare = len(following) == 1 or following[1] not in _STARTS_NOUN
    return phrase[-1] is Kind.VERB and bare and len(phrase) <= 3
  return False


def _breaks_preposition(phrase: list[Kind], kind: Kind, following: Kind | None) -> bool:
  if all(word in (*_PREPOSITIONAL, Kind.ADVERB, Kind.COORDINATOR, Kind.OPENER) for word in phrase):
    return False  # "out of", "and on".
  if kind is Kind.PARTICLE:  # "picks up | ...", but "is walking | out of the water".
    away = following in (Kind.OF, *_PREPOSITIONAL) and any(word in _VERBAL for word in phrase)
    return away or (following in _STARTS_NOUN and phrase[-1] is not Kind.VERB)
  return phrase[-1] is not Kind.PREPOSITION


def _breaks_verb(phrase: list[Kind], kind: Kind) -> bool:
  before = phrase[-1]
  if before is Kind.PRONOUN:  # "he is", but not "pushes him | is".
    return len(phrase) > 2 or any(word in _VERBAL for word in phrase)
  if kind is Kind.AUXILIARY and before is Kind.VERB:
    return True
  return before in (Kind.NOUN, Kind.PARTICLE)


def _breaks_noun(phrase: list[Kind], kind: Kind) -> bool:
  before = phrase[-1]
  if kind in (Kind.DETERMINER, Kind.PRONOUN) and before in _NOMINAL:
    return True
  asks = phrase[0] is Kind.QUESTION and before is Kind.AUXILIARY
  return asks and kind in (Kind.DETERMINER, Kind.PRONOUN)


def _join_single(
    phrases: list[tuple[int, int]], words: list[Word], kinds: list[Kind]
) -> list[tuple[int, int]]:
  """Joins phrases of one word to the better neighbour, where one is short enough."""
  joined: list[tuple[int, int]] = []
  place = 0
  while place < len(phrases):
    start, end = phrases[place]
    if end - start == 1:
      following = phrases[place + 1] if place + 1 < len(phrases) else None
      fits = following is not None and not words[following[0]].after_stop and (
          following[1] - start <= MOST_WORDS)
      back = bool(joined) and not words[start].after_stop and end - joined[-1][0] <= MOST_WORDS
      if fits and following and (not back or _leads(kinds, start, following)):
        phrases[place + 1] = (start, following[1])
        place += 1
        continue
      if back:
        joined[-1] = (joined[-1][0], end)
        place += 1
        continue
    joined.append((start, end))
    place += 1
  return joined


def _leads(kinds: list[Kind], start: int, following: tuple[int, int]) -> bool:
  """Whether the single word at `start` belongs to what follows rather than to what went before."""
  if kinds[start] in (Kind.ADVERB, Kind.PARTICLE):
    return False
  if kinds[start] in _VERBAL:
    return kinds[following[0]] not in (Kind.OPENER, Kind.COORDINATOR, *_VERBAL)
  if kinds[start] in _PREPOSITIONAL:
    return kinds[following[0]] in (*_STARTS_NOUN, *_VERBAL)
  return kinds[start] not in _NOMINAL


def _halve(phrase: tuple[int, int], kinds: list[Kind]) -> list[tuple[int, int]]:
  """Cuts a phrase until no part has more than `MOST_WORDS`."""
  pending, parts = [phrase], []
  while pending:
    start, end = pending.pop()
    if end - start <= MOST_WORDS:
      parts.append((start, end))
      continue
    middle = (start + end) / 2
    cut = min(range(start + 2, end - 1), key=lambda place: (_cut_cost(kinds, place),
                                                            abs(place - middle)))
    pending += [(cut, end), (start, cut)]
  return parts


def _cut_cost(kinds: list[Kind], place: int) -> int:
  kind, before = kinds[place], kinds[place - 1]
  if before not in (Kind.NOUN, Kind.PRONOUN, Kind.VERB, Kind.ADVERB):
    return 2
  return 0 if kind in (Kind.DETERMINER, Kind.OF, Kind.COORDINATOR, *_PREPOSITIONAL) else 1
