"""Rows of the losses' memory say what made them, and stay beside no others."""

import pathlib
import types
from typing import Any

import pytest

from benchmarks import loss_memory
from benchmarks.loss_memory import Memory

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
OLD = {("softmax", "ring", 16, 2_048): Memory(7.0, 8.0), ("timed", "ring", 16, 2_048): Memory(7, 8)}
EVERYTHING = len(loss_memory.POINTS) * 2 * 7


@pytest.fixture
def page(tmp_path: pathlib.Path) -> pathlib.Path:
  """With two programs, made by "code old"."""
  empty = "before\n<!-- loss_memory: begin -->\n<!-- loss_memory: end -->\nafter\n"
  made = tmp_path / "page.md"
  made.write_text(loss_memory.updated(empty, OLD, "code old"))
  return made


def _run(
    monkeypatch: pytest.MonkeyPatch, page: pathlib.Path, now: str, **flags: Any
) -> list[loss_memory.Program]:
  """What the command compiles; every program needs 1 MiB."""
  compiled = []

  def measure(*program: Any) -> Memory:
    compiled.append(program)
    return Memory(1.0, 1.0)

  values = {
      "write": True, "only": [], "impl": ["ring", "dense"], "chips": [], "batches": [],
      "missing": False, "page": str(page),
  } | flags
  for name, value in values.items():
    monkeypatch.setattr(loss_memory, f"_{name.upper()}", types.SimpleNamespace(value=value))
  for name in ("JAX_PLATFORMS", "TPU_SKIP_MDS_QUERY", "ALLOW_MULTIPLE_LIBTPU_LOAD"):
    monkeypatch.setenv(name, "cpu")  # The command sets them; they are as before after the test.
  monkeypatch.setattr(loss_memory, "_now", lambda: now)
  monkeypatch.setattr(loss_memory, "measure", measure)
  loss_memory.main(["loss_memory"])
  return compiled


SOME = {"only": ["softmax"], "impl": ["ring"], "chips": ["16"]}


def test_rows_of_the_same_version_stay(monkeypatch, page) -> None:
  assert len(_run(monkeypatch, page, "code old", **SOME)) == 1
  made, rows = loss_memory.recorded(page.read_text())
  assert made == "code old"
  assert {key[0]: memory.temporary for key, memory in rows.items()} == {"softmax": 1, "timed": 7}


@pytest.mark.parametrize("missing", [False, True])
def test_rows_of_another_version_are_refused_before_a_program_is_compiled(
    missing, monkeypatch, page
) -> None:
  before = page.read_text()
  with pytest.raises(SystemExit) as said:
    _run(monkeypatch, page, "code new", missing=missing, **SOME)
  words = str(said.value)
  assert "1 programs in the table" in words and "by code old, beside new ones by code new" in words
  assert words.endswith("make bench-loss_memory ARGS=--write") and "\n" not in words
  assert page.read_text() == before
  compiled = _run(monkeypatch, page, "code new", missing=missing, write=False, **SOME)
  assert len(compiled) == 1 and page.read_text() == before  # Printed alone.


def test_the_first_program_of_another_version_starts_the_table_anew(page) -> None:
  """All others follow, but a run may end before them."""
  measured = {("softmax", "ring", 64, 8_192): Memory(1.0, 1.0)}
  text = loss_memory.updated(page.read_text(), measured, "code new")
  assert loss_memory.recorded(text) == ("code new", measured)


def test_everything_anew_starts_the_table_anew(monkeypatch, page) -> None:
  assert len(_run(monkeypatch, page, "code new", missing=True)) == EVERYTHING
  made, rows = loss_memory.recorded(page.read_text())
  assert made == "code new" and len(rows) == EVERYTHING
  assert {memory.temporary for memory in rows.values()} == {1.0}
  assert _run(monkeypatch, page, "code new", missing=True) == []  # And goes on where it ended.


def test_the_page_of_the_repository_says_it_too() -> None:
  made, rows = loss_memory.recorded(PAGE.read_text())
  assert made.startswith("code ") and len(rows) == EVERYTHING
