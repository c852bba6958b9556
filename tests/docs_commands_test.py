"""Every training and every grid that a page of docs/ or launch/best.sh runs can be planned.

What `grounded` is told to read are files that the evaluations told before it write.
"""

import os
import pathlib
import re
import shlex
import subprocess

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


def best(*more: str) -> list[str]:
  """What launch/best.sh would run."""
  words = [str(ROOT / "launch" / "best.sh"), "--data=DATA", "--out=OUT", "--pretrained=W", *more]
  found = subprocess.run(
      [*words, "--dry_run"],
      env={"PATH": os.environ["PATH"], "PYTHON": "python"},
      capture_output=True, text=True, check=True,
  )
  return [line.strip() for line in found.stdout.splitlines()]


def test_the_best_is_trained_on_everything_and_evaluated_twice() -> None:
  trained, both = best("--seed=3"), best("--seed=3", "--held=HELD")
  assert both[: len(trained)] == trained
  runs = [line for line in trained if "mla_jax.main" in line]
  assert ["retrieval.py:minilm" in runs[0], "qa.py:minilm" in runs[1]] == [True, True]
  assert all("data.dev_fraction=0 --config.seed=3" in line for line in runs)
  evaluated = [line for line in both if "--mode=eval" in line]
  assert [line.partition("--workdir=")[2] for line in evaluated] == [
      f"OUT/{task} --config.data.dir=OUT/held --config.data.eval_split={split}"
      for task, split in (("retrieval", "validate"), ("qa", "val"))
  ]


@pytest.mark.parametrize(
    "command", [*commands(), *(line for line in best() if "mla_jax.main" in line)]
)
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
