"""The benchmarks' make targets run what is there, the way it must be run."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "name",
    [
        "input", "losses", "loss_memory", "plans", "prepare", "retrieval_ranks", "startup",
        "train_step",
    ],
)
def test_a_benchmark_finds_its_own_package(name):
  """As a module: `python benchmarks/NAME.py` cannot import the files beside it."""
  dry = subprocess.run(
      ["make", "-n", f"bench-{name}", "VENV=/nowhere", "ARGS=--help"],
      cwd=ROOT,
      # As typed by a user: under `make test` an inner make takes the outer one's flags and says so.
      env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
      capture_output=True,
      text=True,
      check=True,
  )
  command = dry.stdout.strip().splitlines()[-1].split()
  assert command[0] == "/nowhere/bin/python"
  assert command[1:] == ["-m", f"benchmarks.{name}", "--help"]
  found = subprocess.run(
      [sys.executable, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
  )
  says = ast.get_docstring(ast.parse((ROOT / "benchmarks" / f"{name}.py").read_text()))
  assert says and says.splitlines()[0] in found.stdout, found.stderr
