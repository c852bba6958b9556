"""From a text record to the arrays of one example, with every random choice made here."""

import dataclasses
import functools
import math
from typing import TypeAlias

import numpy as np

from mla_jax.data.annotations.schema import Segment
from mla_jax.data.records import TextRecord
from mla_jax.data.segments import merge_segments
from mla_jax.data.task_fields import Rng, TaskFields, answer_text, candidate_fields, with_answer
from mla_jax.data.text import TokenizedText, Tokenizer
from mla_jax.data.text_states import TextStates

Fields: TypeAlias = dict[str, np.ndarray]
NOTHING_MORE = TaskFields()
# What stands for "unknown" where it is not 0.
_NOTHING = {"times": np.nan, "answer": -1, "count": -1, "moment": np.nan}


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

  With `states` those of the frozen encoder, `[L, W]`, stand beside the tokens.
  """
  tokens, segments = tokenize(text, segments, tokenizer, shapes)
  fields = {
      f"{prefix}text": tokens.ids,
      f"{prefix}text_mask": tokens.mask,
      f"{prefix}text_segment": tokens.segment,
  }
  if states:
    fields[f"{prefix}text_states"] = states.lookup(tokens)
  if not prefix:
    fields["times"] = _times(segments, shapes.text_segments)
  return fields


def _times(segments: tuple[Segment, ...], most: int) -> np.ndarray:
  """Seconds `[M, 2]`, NaN = unknown; not to be written to."""
  unknown = _unknown_times(most)
  if all(math.isnan(part.start_time) and math.isnan(part.end_time) for part in segments):
    return unknown
  times = unknown.copy()
  times[: len(segments)] = [(part.start_time, part.end_time) for part in segments]
  return times


@functools.lru_cache
def _unknown_times(most: int) -> np.ndarray:
  times = np.full((most, 2), np.nan, np.float32)
  times.setflags(write=False)
  return times


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
    wanted: TaskFields = NOTHING_MORE,
    align: bool,
    sentences: int = 0,
    rng: Rng | None = None,
    states: TextStates | None = None,
) -> Fields:
  """Everything the model reads of one text.

  Args:
    record: the text.
    tokenizer: of the run.
    shapes: sizes of the batch.
    answers: answer -> class; None for tasks without answers.
    wanted: what else the task reads.
    align: what is aligned of a question is it with its answer (training only: it holds the
      answer): `align_text*` where the task asks, else the text itself.
    sentences: keep a random run of at most this many timed segments; 0 keeps the whole text.
    rng: draws that run; None keeps the whole text.
    states: of a frozen text encoder; they hold every text that may be drawn.

  Raises:
    UserError: the text has more candidates than there is room for.
  """
  text, segments = record.text, record.segments
  if sentences and rng is not None:
    runs = runs_of_sentences(record, sentences)
    text, segments = runs[int(rng().integers(len(runs)))] if len(runs) > 1 else runs[0]
  asks = answers is not None or wanted.answered
  if align and not asks:
    text, segments = with_answer(text, segments, answer_text(record))
  make = functools.partial(text_fields, tokenizer=tokenizer, shapes=shapes, states=states)
  fields = make(text, segments) | wanted.others(record, rng)
  if answers is not None:
    fields["answer"] = np.array(answers.get(record.answer, -1), np.int32)
  if wanted.candidates:
    tokens = functools.partial(make, prefix="candidate_")
    fields |= candidate_fields((text, segments), record, wanted, tokens)
  if align and asks:
    fields |= make(*with_answer(text, segments, answer_text(record)), prefix="align_")
  return fields


def blank_fields(fields: Fields) -> Fields:
  """Padding with the shapes of `fields`: nothing in it is real."""
  blank = {name: np.zeros_like(value) for name, value in fields.items()}
  for name, nothing in _NOTHING.items():
    if name in fields:
      blank[name] = np.full_like(fields[name], nothing)
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
