"""Questions that are asked again about the same video: nothing is changed, all is counted."""

from collections.abc import Iterable
import pathlib
from typing import TypeAlias

from mla_jax.data.annotations.schema import TextItem
from mla_jax.data.annotations.tally import Tally

_Answer: TypeAlias = tuple[str, int, tuple[str, ...]]


def repeat_notes(items: Iterable[TextItem]) -> tuple[str, ...]:
  """Notes about the questions that each split asks of one video more than once.

  Two questions are the same where their words are, whatever the case and the blanks. Two answers
  are the same where the text or the count is, and for multiple choice the candidates too, in
  whatever order. Official files hold such questions, so they stay. Captions and queries may be
  repeated, and are no questions.

  Args:
    items: the texts of all splits.

  Returns:
    A line a split for entries that repeat an earlier one, and a line for questions with several
    answers; each names the first of them by their ids.
  """
  tallies: dict[str, Tally] = {}
  asked: dict[tuple[str, str, str], dict[_Answer, str]] = {}
  for item in filter(_is_question, items):
    tally = tallies.setdefault(item.split, Tally(pathlib.Path(item.split)))
    answers = asked.setdefault((item.split, item.video_id, _words(item.text)), {})
    answer = _answer(item)
    if answer in answers:
      tally.add("questions repeat one about the same video, with the same answer: kept as they are",
                f"{answers[answer]} / {item.item_id}")
    answers.setdefault(answer, item.item_id)
  for (split, _, _), answers in asked.items():
    if len(answers) > 1:
      others = " or other candidates" if any(shown for _, _, shown in answers) else ""
      tallies[split].add(
          f"questions are asked again about the same video, with another answer{others}: kept as "
          "they are", " / ".join(list(answers.values())[:2]))
  return tuple(note for tally in tallies.values() for note in tally.notes())


def _is_question(item: TextItem) -> bool:
  return bool(item.answer or item.candidates or item.count >= 0)


def _words(text: str) -> str:
  return " ".join(text.casefold().split())


def _answer(item: TextItem) -> _Answer:
  return item.answer, item.count, tuple(sorted(item.candidates))
