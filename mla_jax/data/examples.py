"""From a text record to the arrays of one example, with every random choice made here."""

import dataclasses
from typing import TypeAlias

import numpy as np

from mla_jax.data.annotations.schema import Segment
from mla_jax.data.records import TextRecord
from mla_jax.data.segments import merge_segments
from mla_jax.data.text import Tokenizer

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
    text: str, segments: tuple[Segment, ...], tokenizer: Tokenizer, shapes: Shapes, prefix: str = ""
) -> Fields:
  """Tokens `[L]`, their mask and text segments; `times` `[M, 2]` (NaN = unknown) without prefix."""
  segments = merge_segments(segments, shapes.text_segments)
  tokens = tokenizer.encode(
      text, segments, length=shapes.text_length, most_segments=shapes.text_segments
  )
  fields = {
      f"{prefix}text": tokens.ids,
      f"{prefix}text_mask": tokens.mask,
      f"{prefix}text_segment": tokens.segment,
  }
  if not prefix:
    times = np.full((shapes.text_segments, 2), np.nan, np.float32)
    for number, segment in enumerate(segments):
      times[number] = segment.start_time, segment.end_time
    fields["times"] = times
  return fields


def example_fields(
    record: TextRecord,
    tokenizer: Tokenizer,
    shapes: Shapes,
    *,
    answers: dict[str, int] | None,
    align: bool,
    sentences: int = 0,
    rng: np.random.Generator | None = None,
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
  """
  text, segments = record.text, record.segments
  if sentences and rng is not None:
    text, segments = _run_of_sentences(text, segments, sentences, rng)
  fields = text_fields(text, segments, tokenizer, shapes)
  if answers is not None:
    fields["answer"] = np.array(answers.get(record.answer, -1), np.int32)
    if align:
      full, parts = _with_answer(text, segments, record.answer)
      fields |= text_fields(full, parts, tokenizer, shapes, prefix="align_")
  return fields


def blank_fields(fields: Fields) -> Fields:
  """Padding with the shapes of `fields`: nothing in it is real."""
  blank = {name: np.zeros_like(value) for name, value in fields.items()}
  blank["times"] = np.full_like(fields["times"], np.nan)
  if "answer" in fields:
    blank["answer"] = np.array(-1, np.int32)
  return blank


def _run_of_sentences(
    text: str, segments: tuple[Segment, ...], most: int, rng: np.random.Generator
) -> tuple[str, tuple[Segment, ...]]:
  if len(segments) <= most:
    return text, segments
  first = int(rng.integers(len(segments) - most + 1))
  kept = segments[first : first + most]
  origin = kept[0].start
  moved = tuple(
      dataclasses.replace(part, start=part.start - origin, end=part.end - origin) for part in kept
  )
  return text[origin : kept[-1].end], moved


def _with_answer(
    question: str, segments: tuple[Segment, ...], answer: str
) -> tuple[str, tuple[Segment, ...]]:
  if not answer:  # A caption among questions: its own text is what aligns.
    return question, segments
  full = f"{question} {answer}"
  return full, (*segments, Segment(len(question) + 1, len(full)))
