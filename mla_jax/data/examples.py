"""From a text record to the arrays of one example, with every random choice made here."""

import dataclasses
from typing import TypeAlias

import numpy as np

from mla_jax.data.annotations.schema import Segment
from mla_jax.data.records import TextRecord
from mla_jax.data.segments import merge_segments
from mla_jax.data.text import TokenizedText, Tokenizer
from mla_jax.data.text_states import TextStates

Fields: TypeAlias = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Shapes:
  """The static sizes of a batch: see "Batch" in docs/architecture.md."""

  frames: int  # T
  video_segments: int  # N
  text_length: int  # L
  text_segments: int  # M
  captions: int  # C
  image_size: int  # H = W, pixels only.
  crop_scale: float
  frame_jitter: float  # 0 = the middle of a frame's run, 1 = anywhere in it.


def text_fields(
    text: str,
    segments: tuple[Segment, ...],
    tokenizer: Tokenizer,
    shapes: Shapes,
    prefix: str = "",
    states: TextStates | None = None,
) -> Fields:
  """Tokens `[L]`, their mask and text segments; `times` `[M, 2]` (NaN = unknown) without prefix.

  With `states` the tokens are the frozen encoder's `[L, W]` instead of their ids.
  """
  tokens, segments = tokenize(text, segments, tokenizer, shapes)
  fields = {
      f"{prefix}text": states.lookup(tokens) if states else tokens.ids,
      f"{prefix}text_mask": tokens.mask,
      f"{prefix}text_segment": tokens.segment,
  }
  if not prefix:
    times = np.full((shapes.text_segments, 2), np.nan, np.float32)
    for number, segment in enumerate(segments):
      times[number] = segment.start_time, segment.end_time
    fields["times"] = times
  return fields


def tokenize(
    text: str, segments: tuple[Segment, ...], tokenizer: Tokenizer, shapes: Shapes
) -> tuple[TokenizedText, tuple[Segment, ...]]:
  """The tokens of a text and the at most M segments that they are numbered by."""
  segments = merge_segments(segments, shapes.text_segments)
  tokens = tokenizer.encode(
      text, segments, length=shapes.text_length, most_segments=shapes.text_segments
  )
  return tokens, segments


def example_fields(
    record: TextRecord,
    tokenizer: Tokenizer,
    shapes: Shapes,
    *,
    answers: dict[str, int] | None,
    align: bool,
    sentences: int = 0,
    rng: np.random.Generator | None = None,
    states: TextStates | None = None,
) -> Fields:
  """Everything the model reads of one text.

  Args:
    record: the text.
    tokenizer: of the run.
    shapes: sizes of the batch.
    answers: answer -> class; None for tasks without answers.
    align: add `align_text*`, a question with its answer (training only: it holds the answer).
    sentences: keep a random run of at most this many timed segments; 0 keeps the whole text.
    rng: draws that run; None keeps the whole text.
    states: of a frozen text encoder; they hold every text that may be drawn.
  """
  text, segments = record.text, record.segments
  if sentences and rng is not None:
    runs = runs_of_sentences(record, sentences)
    text, segments = runs[int(rng.integers(len(runs)))] if len(runs) > 1 else runs[0]
  fields = text_fields(text, segments, tokenizer, shapes, states=states)
  if answers is not None:
    fields["answer"] = np.array(answers.get(record.answer, -1), np.int32)
    if align:
      full, parts = with_answer(text, segments, record.answer)
      fields |= text_fields(full, parts, tokenizer, shapes, prefix="align_", states=states)
  return fields


def blank_fields(fields: Fields) -> Fields:
  """Padding with the shapes of `fields`: nothing in it is real."""
  blank = {name: np.zeros_like(value) for name, value in fields.items()}
  blank["times"] = np.full_like(fields["times"], np.nan)
  if "answer" in fields:
    blank["answer"] = np.array(-1, np.int32)
  return blank


def runs_of_sentences(record: TextRecord, most: int) -> list[tuple[str, tuple[Segment, ...]]]:
  """Every run of `most` neighbouring segments of a text; the text itself if it has no more."""
  text, segments = record.text, record.segments
  if len(segments) <= most:
    return [(text, segments)]
  return [_run(text, segments[i : i + most]) for i in range(len(segments) - most + 1)]


def _run(text: str, kept: tuple[Segment, ...]) -> tuple[str, tuple[Segment, ...]]:
  origin = kept[0].start
  moved = tuple(
      dataclasses.replace(part, start=part.start - origin, end=part.end - origin) for part in kept
  )
  return text[origin : kept[-1].end], moved


def with_answer(
    question: str, segments: tuple[Segment, ...], answer: str
) -> tuple[str, tuple[Segment, ...]]:
  """The alignment text of a question: itself with its answer, a segment of its own."""
  if not answer:  # A caption among questions: its own text is what aligns.
    return question, segments
  full = f"{question} {answer}"
  return full, (*segments, Segment(len(question) + 1, len(full)))
