"""The make targets run what is there, as it must be run, in versions that setup.py allows."""

import ast
import os
import pathlib
import re
import subprocess
import sys

from packaging.specifiers import SpecifierSet
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _commands(target: str, *variables: str) -> str:
  """What make would run."""
  dry = subprocess.run(
      ["make", "-n", target, "VENV=/nowhere", *variables],
      cwd=ROOT,
      # As typed by a user: under `make test` an inner make takes the outer one's flags and says so.
      env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
      capture_output=True,
      text=True,
      check=True,
  )
  return dry.stdout.strip()


@pytest.mark.parametrize(
    "name",
    [
        "input", "losses", "loss_memory", "plans", "prepare", "retrieval_ranks", "startup",
        "train_step",
    ],
)
def test_a_benchmark_finds_its_own_package(name):
  """As a module: `python benchmarks/NAME.py` cannot import the files beside it."""
  command = _commands(f"bench-{name}", "ARGS=--help").splitlines()[-1].split()
  assert command[0] == "/nowhere/bin/python"
  assert command[1:] == ["-m", f"benchmarks.{name}", "--help"]
  found = subprocess.run(
      [sys.executable, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
  )
  says = ast.get_docstring(ast.parse((ROOT / "benchmarks" / f"{name}.py").read_text()))
  assert says and says.splitlines()[0] in found.stdout, found.stderr


@pytest.mark.parametrize("target", ["test-aot", "test-beam"])
def test_tests_that_need_an_extra_are_there_and_required(target):
  words = _commands(target).splitlines()[-1].split()
  (file,) = [word for word in words if word.endswith("_test.py")]
  (required,) = [word for word in words if word.startswith("MLA_JAX_REQUIRE_")]
  extra = target.removeprefix("test-")
  assert required == f"MLA_JAX_REQUIRE_{extra.upper()}=1"
  assert re.search(rf'extras\.need\("\w+", "{extra}"\)', (ROOT / file).read_text())
  assert f"stage {extra} make {target}" in (ROOT / ".ci" / "run").read_text()


def test_versions_installed_apart_are_within_their_ranges():
  ranges = (ROOT / "setup.py").read_text()
  beam = (ROOT / "requirements-beam.lock").read_text()
  for package, pinned in (("libtpu", _commands("test-aot")), ("apache-beam", beam)):
    (allowed,) = re.findall(rf'"{package}(.+?)"', ranges)
    (version,) = re.findall(rf"\b{package}==([\w.]+)", pinned)
    assert version in SpecifierSet(allowed)
