"""The planner's tables say what made them, and are of one version of it."""

import json
import pathlib
from typing import Any

import pytest

from benchmarks import marked, plan_tables

NOW = {"code_version": "new", "compilers": {"jax": "1", "libtpu": "2"}}
OTHERS = {
    "of other code": NOW | {"code_version": "old"},
    "by another compiler": NOW | {"compilers": {"jax": "1", "libtpu": "1"}},
    "from before it was recorded": {},
}


def _plan(folder: pathlib.Path, chips: int, made_by: dict[str, Any]) -> pathlib.Path:
  """A plan with the fields that the tables read."""
  parts = ("parameters", "optimizer", "batch", "activations", "total")
  plan = made_by | {
      "config": "a", "chips": chips, "rows": 8, "memory_per_chip": dict.fromkeys(parts, 1e9),
      "capacity_per_chip": 16e9, "model_flops": 1e12, "collectives": {},
      "collective_bytes": 2, "collective_bytes_at_least": 1,
      "seconds_at_least": {"compute": 2.0, "memory": 1.0, "links": 1.0},
  }
  file = folder / f"a_{chips}" / "plan.json"
  file.parent.mkdir()
  file.write_text(json.dumps(plan))
  return file


@pytest.fixture
def page(tmp_path: pathlib.Path) -> pathlib.Path:
  made = tmp_path / "page.md"
  made.write_text("before\n<!-- plans: begin -->\n<!-- plans: end -->\nafter\n")
  return made


def test_the_page_says_what_made_its_plans(page: pathlib.Path) -> None:
  """And not what writes it."""
  old = OTHERS["of other code"]
  text = plan_tables.updated(page, [_plan(page.parent, chips, old) for chips in (16, 256)])
  assert text.startswith("before\n") and text.endswith("after\n")
  assert "\nCompiled: code old, jax 1 and libtpu 2.\n<!-- plans: end -->" in text
  assert "| a | 16 | 8 |" in text and "| a | 256 | 8 |" in text


@pytest.mark.parametrize("other", OTHERS)
def test_plans_of_several_versions_are_refused(other: str, page: pathlib.Path) -> None:
  files = [_plan(page.parent, 16, OTHERS[other]), _plan(page.parent, 256, NOW)]
  with pytest.raises(SystemExit, match=r"^error: .*: make bench-plans ARGS=--write$") as said:
    plan_tables.updated(page, files)
  for file in files:
    assert f"{file.parent}: by code" in str(said.value)
  with pytest.raises(SystemExit, match="what this run plans: by code new"):
    plan_tables.check_one_version(files[:1], NOW)  # Before the second was planned.
  plan_tables.check_one_version(files[1:], NOW)


def test_plans_of_an_unknown_version_are_refused(page: pathlib.Path) -> None:
  """All of them may be of another."""
  with pytest.raises(SystemExit, match="a_16: by code not recorded"):
    plan_tables.updated(page, [_plan(page.parent, 16, {})])


def test_the_page_of_the_repository_says_it_too() -> None:
  text = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "scaling.md").read_text()
  _, tables, _ = marked.parts(text, "plans")
  assert tables.splitlines()[-1].startswith("Compiled: code ")


def test_a_page_without_a_place_is_named(tmp_path: pathlib.Path) -> None:
  page = tmp_path / "page.md"
  page.write_text("before\n<!-- plans: begin -->\nafter\n")
  with pytest.raises(SystemExit, match=r"^error: put <!-- plans: begin --> and "):
    plan_tables.updated(page, [_plan(tmp_path, 16, NOW)])
