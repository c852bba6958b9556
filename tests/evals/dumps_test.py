"""Dumps are read whole or not at all, and joined only where they cover the same examples."""

import json
import pathlib

from hypothesis import given
from hypothesis import strategies as st
import pytest

from mla_jax.errors import UserError
from mla_jax.evals import dumps

ROW = {"id": "a", "video": "v1", "text": "a dog", "correct": True}


def write(path: pathlib.Path, rows: list[dict]) -> pathlib.Path:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text("".join(json.dumps(row) + "\n" for row in rows))
  return path


@given(st.lists(st.integers(0, 20), unique=True, min_size=1), st.randoms())
def test_join_follows_ids_not_order(ids: list[int], random) -> None:
  a = [{"id": i, "rank": 1.0} for i in ids]
  b = [{"id": i, "rank": 2.0} for i in ids]
  random.shuffle(b)
  pairs = dumps.join(a, b)
  assert [(x["id"], y["id"]) for x, y in pairs] == [(i, i) for i in ids]
  assert all((x["rank"], y["rank"]) == (1.0, 2.0) for x, y in pairs)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (["x", "y"], ["x"], r"1 only in A \('y'\): evaluate both on the same split"),
        (["x"], list("abcdx"), r"4 only in B \('a', 'b', 'c', \.\.\.\)"),
        (["p"], ["q"], r"1 only in A \('p'\); 1 only in B \('q'\)"),
    ],
)
def test_different_ids_are_named(a: list[str], b: list[str], said: str) -> None:
  with pytest.raises(UserError, match=said):
    dumps.join([{"id": i} for i in a], [{"id": i} for i in b])


@pytest.mark.parametrize("key", ["video", "text", "answer", "type"])
def test_one_id_for_two_examples_is_named(key: str) -> None:
  with pytest.raises(UserError, match=f"example 'a' has {key} .* in A and 'other' in B"):
    dumps.join([ROW], [ROW | {key: "other"}])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no example in it"),
        ('{"id": "a"}\n{"id": ', r":2: no JSON"),
        ("[1]\n", r":1: no object with an id"),
        ('{"video": "v"}\n', r":1: no object with an id"),
        ('{"id": "a"}\n{"id": "a"}\n', r":2: id 'a' is there twice"),
    ],
)
def test_damaged_dumps(tmp_path: pathlib.Path, content: str, said: str) -> None:
  path = tmp_path / "dump.jsonl"
  path.write_text(content)
  with pytest.raises(UserError, match=said) as raised:
    dumps.read_dump(path)
  assert "\n" not in str(raised.value)
  with pytest.raises(UserError, match="cannot be read"):
    dumps.read_dump(tmp_path / "none.jsonl")


def test_a_line_ends_at_a_newline_alone(tmp_path: pathlib.Path) -> None:
  rows = [{"id": "a", "text": "one\u2028two\x85three"}, {"id": "b", "text": "four"}]
  path = tmp_path / "dump.jsonl"
  path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
  assert dumps.read_dump(path) == rows


def test_finds_what_both_workdirs_have(tmp_path: pathlib.Path) -> None:
  for run, names in (("a", ["qa_test", "qa_val"]), ("b", ["qa_test", "ret_test"])):
    for name in names:
      write(tmp_path / run / "eval" / f"{name}.jsonl", [ROW])
  a, b = tmp_path / "a", tmp_path / "b"
  assert dumps.find_dumps(a, b) == (a / "eval/qa_test.jsonl", b / "eval/qa_test.jsonl")
  with pytest.raises(UserError, match=r"--dataset=qa_val: not evaluated in both.*share qa_test"):
    dumps.find_dumps(a, b, "qa_val")
  write(b / "eval/qa_val.jsonl", [ROW])
  with pytest.raises(UserError, match="share qa_test, qa_val: choose one with --dataset"):
    dumps.find_dumps(a, b)
  assert dumps.find_dumps(a, b, "qa_val")[1] == b / "eval/qa_val.jsonl"
  one = a / "eval/qa_val.jsonl"
  assert dumps.find_dumps(one, b / "eval/ret_test.jsonl")[0] == one


def test_what_cannot_be_compared(tmp_path: pathlib.Path) -> None:
  a, b = tmp_path / "a", tmp_path / "b"
  with pytest.raises(UserError, match="a: not there"):
    dumps.find_dumps(a, b)
  write(a / "eval/qa_val.jsonl", [ROW])
  b.mkdir()
  with pytest.raises(UserError, match="b: holds no evaluation"):
    dumps.find_dumps(a, b)
  write(b / "eval/qa_test.jsonl", [ROW])
  with pytest.raises(UserError, match="no evaluation in common"):
    dumps.find_dumps(a, b)
  with pytest.raises(UserError, match="one is a file, one a folder"):
    dumps.find_dumps(a / "eval/qa_val.jsonl", b)
