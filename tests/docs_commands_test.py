"""Every training and every grid that a page of docs/ tells to run can be planned as it is typed."""

import pathlib
import re
import shlex

import pytest

from mla_jax import config_lib
from mla_jax.experiments import plan

ROOT = pathlib.Path(__file__).resolve().parents[1]
_COMMAND = re.compile(r"python -m mla_jax\.(?:main --config|experiment configs/)[^`\n]*")


def commands() -> list[str]:
  pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
  return sorted({found for page in pages for found in _COMMAND.findall(page.read_text())})


def test_there_are_some_of_both_kinds() -> None:
  kinds = [command.split()[2] for command in commands()]
  assert kinds.count("mla_jax.experiment") > 10 and kinds.count("mla_jax.main") > 10


@pytest.mark.parametrize("command", commands())
def test_it_can_be_planned(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.chdir(ROOT)
  _, _, module, *words = shlex.split(command.replace("...", ""))
  given = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
  changes = {
      key.removeprefix("config."): value for key, value in given.items() if key[:7] == "config."
  }
  if module == "mla_jax.main":
    config_lib.load_config(given["config"], changes)
    return
  cells, seeds = (given[name].split(",") if name in given else None for name in ("cells", "seeds"))
  experiment = plan.load_experiment(words[0], cells, seeds, given.get("baseline"))
  assert plan.plan_runs(experiment, changes)
