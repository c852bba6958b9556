"""What the multiple-choice readers share: candidates and the index of the right one."""

from collections.abc import Sequence
from typing import Any

from mla_jax.data.annotations import files
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

HIDDEN = -1  # The index of an answer that is not published.


def read_candidates(
    record: dict[str, Any], keys: Sequence[str], where: str, tally: Tally
) -> tuple[str, ...]:
  """The texts of `keys`, none empty; questions that show one text twice are counted."""
  candidates = tuple(
      tally.text(files.field(record, key, str, where), f"{where}: {key!r}", "candidates")
      for key in keys)
  if len(set(candidates)) < len(candidates):
    tally.add("questions show the same candidate twice: kept as they are")
  return candidates


def check_index(index: Any, candidates: Sequence[str], where: str) -> int:
  """A whole number from 0 that names one of the candidates."""
  if not 0 <= files.expect(index, int, where) < len(candidates):
    raise UserError(f"{where} is {files.short(index)}, not one of 0 to {len(candidates) - 1}: "
                    f"{files.MEND}")
  return int(index)


def index_of(answer: str, candidates: Sequence[str], where: str, tally: Tally) -> int:
  """The index of the candidate that is the answer, the first of several equal ones.

  Where there are several each of them is right, which `choice` is told by `as_text`.
  """
  if answer not in candidates:
    raise UserError(f"{where} is {files.short(answer)}, not one of its candidates: {files.MEND}")
  if list(candidates).count(answer) > 1:
    tally.add("answers stand for two candidates: either is right")
  return list(candidates).index(answer)


def choice(
    candidates: tuple[str, ...], index: int, *, as_text: bool = False
) -> dict[str, Any]:
  """The fields of a `TextItem` that has candidates.

  Args:
    candidates: the texts.
    index: `HIDDEN`, or that of the right one.
    as_text: the answer was given as a text, so that every candidate of that text is right.
  """
  answer = "" if index == HIDDEN else candidates[index]
  several = as_text and candidates.count(answer) > 1
  return {"candidates": candidates, "answer_index": index, "answer": answer,
          "references": (answer,) if several else ()}
