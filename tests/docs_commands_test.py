"""Every training and every grid that a page of docs/ tells to run can be planned as it is typed.

What `grounded` is told to read are files that the evaluations told before it write.
"""

import pathlib
import re
import shlex

import pytest

from mla_jax import config_lib, eval_lib
from mla_jax.experiments import plan

ROOT = pathlib.Path(__file__).resolve().parents[1]
_COMMAND = re.compile(r"python -m mla_jax\.(?:main --config|experiment configs/)[^`\n]*")


def commands() -> list[str]:
  pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
  return sorted({found for page in pages for found in _COMMAND.findall(page.read_text())})


def flags(words: list[str]) -> tuple[dict[str, str], dict[str, str]]:
  """All flags by name, and the overrides among them by key."""
  given = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
  changes = {
      key.removeprefix("config."): value for key, value in given.items() if key[:7] == "config."
  }
  return given, changes


def test_there_are_some_of_both_kinds() -> None:
  kinds = [command.split()[2] for command in commands()]
  assert kinds.count("mla_jax.experiment") > 10 and kinds.count("mla_jax.main") > 10


@pytest.mark.parametrize("command", commands())
def test_it_can_be_planned(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.chdir(ROOT)
  _, _, module, *words = shlex.split(command.replace("...", ""))
  given, changes = flags(words)
  if module == "mla_jax.main":
    config_lib.load_config(given["config"], changes)
    return
  cells, seeds = (given[name].split(",") if name in given else None for name in ("cells", "seeds"))
  experiment = plan.load_experiment(words[0], cells, seeds, given.get("baseline"))
  assert plan.plan_runs(experiment, changes)


def test_what_is_joined_is_written() -> None:
  page = (ROOT / "docs" / "datasets.md").read_text()
  written = set()
  for command in re.findall(r"python -m mla_jax\.main --mode=eval.*", page):
    given, changes = flags(shlex.split(command))
    trained = config_lib.load_config(f"{ROOT}/configs/{given['workdir'].partition('/')[2]}.py")
    name = eval_lib.result_name(config_lib.apply_overrides(trained, changes), trained)
    written.add(f"{given['workdir']}/eval/{name}.jsonl")
  joined = set(re.findall(r"runs/\w+/eval/\w+\.jsonl", page))
  assert len(joined) == 4
  assert joined - written == {"runs/tvqa_plus/eval/tvqa_qa_plus_val.jsonl"}  # Training's own.
