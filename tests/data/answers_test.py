"""The answer vocabulary: order, ceiling, files."""

from collections import Counter
import pathlib

from hypothesis import given
from hypothesis import strategies as st
import pytest

from mla_jax.data import answers
from mla_jax.errors import UserError

_ANSWERS = st.lists(st.sampled_from(["man", "woman", "dog", "Zebra", "éclair", "two"]), max_size=30)


def test_order_is_count_then_first_appearance() -> None:
  given_answers = ["dog", "man", "cat", "cat", "man", "ape"]
  assert answers.build_answers(iter(given_answers)) == [
      ("man", 2), ("cat", 2), ("dog", 1), ("ape", 1)]


@given(_ANSWERS)
def test_every_answer_is_counted_once(given_answers: list[str]) -> None:
  built = answers.build_answers(given_answers)
  assert dict(built) == dict(Counter(given_answers))
  assert [count for _, count in built] == sorted((count for _, count in built), reverse=True)


def test_coverage_is_over_all_answers() -> None:
  assert answers.coverage(["man", "dog", "dog", "elk"], ["dog", "cat"]) == 0.5
  assert answers.coverage(["elk"], []) == 0.0
  assert answers.coverage([], ["dog"]) == 0.0


@given(_ANSWERS.filter(bool))
def test_files_keep_the_vocabulary(
    tmp_path_factory: pytest.TempPathFactory, given_answers: list[str]) -> None:
  path = tmp_path_factory.mktemp("answers") / "answers.json"
  answers.write_answers(path, answers.build_answers(given_answers))
  assert answers.read_answers(path) == answers.build_answers(given_answers)
  assert [file.name for file in path.parent.iterdir()] == ["answers.json"]


@pytest.mark.parametrize("content", [
    "", "{}x", '{"a": 1}', "3", '["ab"]', '[["a"]]', '[["a", "1"]]', '[["a", true]]', '[["", 1]]',
    '[["a", 0]]', '[["a", 1], ["a", 1]]', "[" * 100_000, "null", "\xff"])
def test_damaged_files(tmp_path: pathlib.Path, content: str) -> None:
  path = tmp_path / "answers.json"
  path.write_bytes(content.encode("latin-1"))
  with pytest.raises(UserError, match=r"not an answer vocabulary: prepare the dataset again"):
    answers.read_answers(path)


def test_a_missing_file(tmp_path: pathlib.Path) -> None:
  with pytest.raises(UserError, match=r"answers.json: cannot be read \(No such file"):
    answers.read_answers(tmp_path / "answers.json")
