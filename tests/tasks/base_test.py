"""The least that is a task: what README names, with the rows that the report reads."""

import dataclasses
from typing import Any

import numpy as np

from mla_jax.data.examples import NOTHING_MORE
from mla_jax.report import build, examples
from mla_jax.tasks.base import Task


@dataclasses.dataclass(frozen=True)
class Least(Task):
  wanted = NOTHING_MORE

  def embed(self, *arguments: Any) -> Any:
    return arguments

  def loss_of(self, *arguments: Any) -> Any:
    return arguments

  def evaluator(self, *arguments: Any) -> Any:
    return arguments


def test_a_task_needs_no_vocabulary_of_answers_unless_it_says_so() -> None:
  assert Least().needs_answers is False


def test_the_report_shows_rows_of_the_keys_that_are_named() -> None:
  row = {"place": 3, "correct": True, "text": "a dog", "video": "v1"}
  ranked, answered = row | {"rank": 2.0}, row | {"predicted": "red", "answer": "blue"}
  assert build._heading(ranked) == "a dog - rank 2 (v1)"
  assert build._heading(answered) == "a dog - answer: blue, said: red (v1)"
  assert examples.choose([ranked, answered | {"correct": False}], 2) == [
      ranked, answered | {"correct": False}
  ]
  assert not examples.choose([ranked | {"correct": np.bool_(True)}], 2)  # A bool of Python's.
