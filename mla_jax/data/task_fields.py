"""The fields of an example that only some tasks read: candidates, a count, a moment."""

from collections.abc import Callable
import dataclasses
import math

import numpy as np

from mla_jax.data.annotations.schema import Segment
from mla_jax.data.records import TextRecord
from mla_jax.data.segments import cut_text
from mla_jax.data.subtitles import spoken
from mla_jax.errors import UserError

Words = tuple[str, tuple[Segment, ...]]  # A text and its segments.
Rng = Callable[[], np.random.Generator]  # Gives a row's generator, always the same one.


@dataclasses.dataclass(frozen=True)
class TaskFields:
  """What a task reads of a text beside the text itself.

  Attributes:
    candidates: K, the room for candidates; 0: none are read.
    count: whether a count is read.
    moment: whether a moment is read.
    optional: whether a training text may lack them: captions, which align and nothing else.
    subtitles: which stand behind each candidate, see `subtitles.spoken`.
  """

  candidates: int = 0
  count: bool = False
  moment: bool = False
  optional: bool = False
  subtitles: str = ""

  @property
  def answered(self) -> bool:
    """Whether the texts are questions, which align together with their answers."""
    return self.candidates > 0 or self.count

  def check(self, record: TextRecord) -> None:
    """Raises UserError for a text that the task cannot ask about."""
    where, found = f"text {record.item_id} of {record.video_id}", len(record.candidates)
    if self.candidates and not found:
      raise UserError(f"{where}: has no candidates: use texts of multiple-choice questions")
    if self.count and record.count < 0:
      raise UserError(f"{where}: has no count: use texts of counting questions")
    if self.moment and not record.moments:
      raise UserError(f"{where}: has no moment: use texts of a localisation set and a split with "
                      "public labels")

  def others(
      self, record: TextRecord, rng: Rng | None
  ) -> dict[str, np.ndarray]:
    """The fields that are no text.

    `candidate_mask [K]` and `answer` (index of the right candidate, -1 = hidden or no question);
    `count` (-1 = no question); `moment [2]` s, one of the text's, NaN = none.
    """
    fields = {}
    if self.candidates:
      fields["candidate_mask"] = np.arange(self.candidates) < len(record.candidates)
      fields["answer"] = np.array(record.answer_index, np.int32)
    if self.count:
      fields["count"] = np.array(record.count, np.int32)
    if self.moment:
      moments = record.moments or ((math.nan, math.nan),)
      chosen = int(rng().integers(len(moments))) if rng is not None and len(moments) > 1 else 0
      fields["moment"] = np.array(moments[chosen], np.float32)
    return fields


def candidate_fields(
    words: Words,
    record: TextRecord,
    wanted: TaskFields,
    tokens: Callable[[str, tuple[Segment, ...]], dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
  """`[K, ...]` of each of the fields that `tokens` gives for a text; zeros behind the candidates.

  Raises:
    UserError: there are more candidates than room for them.
  """
  most = wanted.candidates
  if len(record.candidates) > most:
    raise UserError(
        f"text {record.item_id} of {record.video_id}: has {len(record.candidates)} candidates, "
        f"data.candidates={most}: raise it"
    )
  rows = [tokens(*asked) for asked in candidate_texts(words, record, wanted.subtitles)]
  blank = {name: np.zeros_like(value) for name, value in (rows or [tokens(*words)])[0].items()}
  rows += [blank] * (most - len(rows))
  return {name: np.stack([row[name] for row in rows]) for name in blank}


def candidate_texts(words: Words, record: TextRecord, subtitles: str) -> list[Words]:
  """The question with each candidate, and behind it what is said, which is part of no segment.

  Last, so that where a text is too long, it is the end of what is said that is cut.
  """
  said = spoken(record, subtitles)
  asked = [with_answer(*words, candidate) for candidate in record.candidates]
  return [(f"{text} {said}", segments) for text, segments in asked] if said else asked


def answer_text(record: TextRecord) -> str:
  """The right answer as it stands in a question's alignment text; empty: none, or hidden."""
  return record.answer or (str(record.count) if record.count >= 0 else "")


def with_answer(question: str, segments: tuple[Segment, ...], answer: str) -> Words:
  """A question with an answer, a segment of its own; an answer without question is a caption."""
  if not answer:  # A caption among questions: its own text is what aligns.
    return question, segments
  if not question:
    return answer, cut_text(answer)
  full = f"{question} {answer}"
  return full, (*segments, Segment(len(question) + 1, len(full)))
