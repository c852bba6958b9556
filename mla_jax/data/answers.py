"""The answer vocabulary of open-ended question answering, made from training answers alone."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
import json
import os
import pathlib

from mla_jax.errors import UserError


def build_answers(answers: Iterable[str]) -> list[tuple[str, int]]:
  """Every answer with its count, by falling count, equals in the order of their first appearance.

  The first k are the top-k classes, those that published ceilings are counted with (on MSVD-QA 59
  of the top 1000 are drawn from 257 equals). Pass the answers of the training split only.
  """
  return Counter(answers).most_common()


def coverage(answers: Sequence[str], vocabulary: Collection[str]) -> float:
  """The share of `answers` in [0, 1] that `vocabulary` has: the ceiling of accuracy; 0 for none."""
  known = frozenset(vocabulary)
  return sum(answer in known for answer in answers) / len(answers) if answers else 0.0


def write_answers(path: str | pathlib.Path, answers: Sequence[tuple[str, int]]) -> None:
  """Writes `build_answers`' list as JSON, whole or not at all."""
  path = pathlib.Path(path)
  partial = path.with_name(f"{path.name}.partial")
  partial.write_text(json.dumps(answers, ensure_ascii=False), encoding="utf-8")
  os.replace(partial, path)


def read_answers(path: str | pathlib.Path) -> list[tuple[str, int]]:
  """Reads what `write_answers` wrote.

  Raises:
    UserError: no such file, or not an answer vocabulary.
  """
  path = pathlib.Path(path)
  try:
    answers = [(answer, count) for answer, count in json.loads(path.read_bytes())]
  except OSError as error:
    raise UserError(
        f"{path}: cannot be read ({error.strerror}): prepare the dataset again") from None
  except (ValueError, TypeError, RecursionError):
    answers = [("", 0)]
  if not all(isinstance(a, str) and a and type(c) is int and c > 0 for a, c in answers) or (
      len({a for a, _ in answers}) < len(answers)):
    raise UserError(f"{path}: not an answer vocabulary: prepare the dataset again")
  return answers
