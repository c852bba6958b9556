"""Tokens of a text, and which segment of it each belongs to."""

from collections import Counter
from collections.abc import Iterable, Sequence
import dataclasses
import functools
import io
import itertools
import os
import pathlib
import re
import sys
from typing import Any, Protocol

from absl import logging
from jaxtyping import Bool, Int32
import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_pb2

from mla_jax.data.annotations.schema import Segment
from mla_jax.data.tokenizer_json import JsonTokenizer, Span
from mla_jax.errors import UserError

TOKENIZER_MODEL, TOKENIZER_JSON = TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json")
_KEPT = 1 << 17  # Texts whose tokens are kept, some 100 MB: most of a training set of this field.
_WORD = re.compile(r"\w+")
_COMMON = 5


@dataclasses.dataclass(frozen=True)
class TokenizedText:
  """A text as `L` tokens; the arrays may be shared and are not to be written to.

  Attributes:
    ids: token ids, 0 where there is none.
    mask: True = a real token.
    segment: 1..M, the segment each token belongs to; 0 = none.
  """

  ids: Int32[np.ndarray, " L"]
  mask: Bool[np.ndarray, " L"]
  segment: Int32[np.ndarray, " L"]


class Cutter(Protocol):
  """What kinds of tokenizers differ in."""

  vocab_size: int

  def cut(self, text: str, length: int) -> tuple[list[int], list[Span]]:
    """At most `length` ids, and the characters of `text` each stands for, ascending.

    None: it stands for none, like BERT's [CLS]. A span without characters belongs to the character
    that follows.
    """


class SentencePiece:
  """A SentencePiece model."""

  def __init__(self, processor: sentencepiece.SentencePieceProcessor):
    self._processor = processor
    self.vocab_size: int = processor.vocab_size()

  def cut(self, text: str, length: int) -> tuple[list[int], list[Span]]:
    # Parsed here, since "proto" means something else in every other release.
    encoded = self._processor.Encode(text, out_type="serialized_proto")
    pieces = sentencepiece_pb2.SentencePieceText.FromString(encoded).pieces[:length]
    spans = [(piece.begin, piece.end) for piece in pieces]
    if not text.isascii():
      spans = _characters(text, spans)
    return [piece.id for piece in pieces], list(spans)


class Tokenizer:
  """A SentencePiece model or a `tokenizer.json`; safe to use from many threads."""

  def __init__(self, cutter: Cutter):
    self._cutter = cutter
    self.vocab_size = cutter.vocab_size
    self._kept = functools.lru_cache(_KEPT)(self._encode)

  def __reduce__(self) -> tuple[Any, ...]:
    return Tokenizer, (self._cutter,)

  @classmethod
  def load(cls, path: str | pathlib.Path) -> "Tokenizer":
    """Raises `UserError` where there is no sound tokenizer of the kind that the name tells."""
    path = pathlib.Path(path)
    if stored_name(path) == TOKENIZER_JSON:
      return cls(JsonTokenizer.load(path))
    try:
      model = path.read_bytes()
    except OSError as error:
      raise UserError(
          f"{path}: cannot be read ({error.strerror}): give a SentencePiece model file") from None
    return cls.from_bytes(model, str(path))

  @classmethod
  def from_bytes(cls, model: bytes, name: str = "tokenizer") -> "Tokenizer":
    """A tokenizer from a serialised SentencePiece model; `name` is what an error calls it."""
    processor = sentencepiece.SentencePieceProcessor()
    try:
      processor.LoadFromSerializedProto(model)
    except (RuntimeError, ValueError):
      raise UserError(f"{name}: not a SentencePiece model, or damaged: give another file") from None
    return cls(SentencePiece(processor))

  def encode(
      self, text: str, segments: Sequence[Segment], *, length: int, most_segments: int
  ) -> TokenizedText:
    """Tokens of `text`, cut or padded to `length`.

    A token belongs to the segment that has most of its characters (the first of equals), to none
    where no segment touches it. Blanks count for nothing; a token of a blank alone, or of no
    character of its own (the first bytes of a letter), goes with the character that follows.
    [CLS] and [SEP], where a tokenizer adds them, are real tokens that belong to none.

    Args:
      text: any text.
      segments: spans of `text`, in order and disjoint.
      length: L.
      most_segments: M; segments past it are none (`merge_segments` first).
    """
    # Without the segments' times: a time that is not known is a NaN, and no NaN equals another.
    parts = tuple((segment.start, segment.end) for segment in segments[:most_segments])
    return self._kept(text, parts, length)

  def _encode(self, text: str, segments: tuple[tuple[int, int], ...], length: int) -> TokenizedText:
    ids, spans = self._cutter.cut(text, length)
    found = TokenizedText(
        np.zeros(length, np.int32), np.zeros(length, np.bool_), np.zeros(length, np.int32))
    found.ids[: len(ids)] = ids
    found.mask[: len(ids)] = True
    found.segment[: len(ids)] = _assign(text, spans, segments)
    for array in vars(found).values():
      array.setflags(write=False)
    return found

  def count(self, text: str) -> int:
    """How many tokens a text has that is not cut."""
    return len(self._cutter.cut(text, sys.maxsize)[0])


def stored_name(path: pathlib.Path) -> str:
  """The name a tokenizer's file gets in a prepared folder and in a workdir."""
  return TOKENIZER_JSON if path.suffix == ".json" else TOKENIZER_MODEL


def stored_tokenizer(folder: pathlib.Path) -> pathlib.Path:
  """The tokenizer of a prepared folder or a workdir, of whichever kind it is.

  Raises:
    UserError: there is none.
  """
  for name in TOKENIZER_FILES:
    if (folder / name).exists():
      return folder / name
  raise UserError(f"{folder}: holds no {' or '.join(TOKENIZER_FILES)}: restore it from a copy")


def train_tokenizer(texts: Iterable[str], path: str | pathlib.Path, vocab_size: int) -> int:
  """Trains a lower-casing SentencePiece unigram model and writes it to `path`.

  The same texts in the same order give the same bytes. Ids 0 to 3 are padding, unknown, begin, end.

  SentencePiece considers only pieces that it has seen followed by two different things, so a word
  that always has a blank behind it ("while") would be spelt out, and so would most words of a small
  corpus. Therefore every word that occurs five times makes one more training text, "while while".

  Args:
    texts: the training texts only, never those of validation or test.
    path: where the model goes, whole or not at all.
    vocab_size: pieces wanted; fewer are made, with a warning, where the texts do not have as many.

  Returns:
    The number of pieces made.

  Raises:
    UserError: no text, a size too small for the texts' characters, or an unwritable path.
  """
  lines = [text for text in texts if text.strip()]
  words = Counter(word for line in lines for word in _WORD.findall(line.lower()))
  common = sorted(f"{word} {word}" for word, count in words.items() if count >= _COMMON)
  if not lines:
    raise UserError(
        "tokenizer: there is no training text to learn it from: give --tokenizer a model")
  model = io.BytesIO()
  try:
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=itertools.chain(lines, common), model_writer=model, model_type="unigram",
        vocab_size=vocab_size, hard_vocab_limit=False, pad_id=0, unk_id=1, bos_id=2, eos_id=3,
        normalization_rule_name="nmt_nfkc_cf", byte_fallback=False,
        max_sentence_length=1 << 20,
        num_threads=1,  # The number of threads changes the order of sums, and so the bytes.
        minloglevel=2)
  except (RuntimeError, ValueError) as error:
    reason = (str(error).splitlines() or ["unknown"])[-1][-160:]
    raise UserError(
        f"tokenizer: cannot be trained on {len(lines):,} texts with --vocab_size={vocab_size} "
        f"({reason}): choose another size or give --tokenizer a model") from None
  size = Tokenizer.from_bytes(model.getvalue()).vocab_size
  if size < vocab_size:
    logging.warning("tokenizer: %d pieces instead of %d: the texts have no more", size, vocab_size)
  _write(pathlib.Path(path), model.getvalue())
  return size


def _write(path: pathlib.Path, content: bytes) -> None:
  partial = path.with_name(f"{path.name}.partial")
  try:
    partial.write_bytes(content)
    os.replace(partial, path)
  except OSError as error:
    raise UserError(f"{path}: cannot be written ({error.strerror}): check the folder") from None


def _characters(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
  """Spans of UTF-8 bytes as spans of characters."""
  widths = [len(character.encode()) for character in text]
  character = np.repeat(np.arange(len(text)), widths).tolist()
  character.append(len(text))
  return [(character[begin], character[end]) for begin, end in spans]


def _assign(
    text: str, spans: Sequence[Span], segments: Sequence[tuple[int, int]]
) -> list[int]:
  """For each span, the number (from 1) of the segment that overlaps it most; 0 = none."""
  numbers = []
  first = 0  # Segments before it end before this span starts, and before all later ones.
  for span in spans:
    if span is None:
      numbers.append(0)
      continue
    begin, end = span
    while begin < end and text[begin].isspace():
      begin += 1
    end = max(end, begin + 1)
    while first < len(segments) and segments[first][1] <= begin:
      first += 1
    if first < len(segments) and segments[first][0] <= begin and end <= segments[first][1]:
      numbers.append(first + 1)  # All of it: no other has more.
      continue
    best, most = 0, 0
    for number in range(first, len(segments)):
      if segments[number][0] >= end:
        break
      shared = min(end, segments[number][1]) - max(begin, segments[number][0])
      if shared > most:
        best, most = number + 1, shared
    numbers.append(best)
  return numbers
