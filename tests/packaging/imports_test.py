"""Every module imports, importing does no work, and the entry point's help is quick."""

import ast
import importlib
import importlib.metadata
import pathlib
import re
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "mla_jax").rglob("*.py"))
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCES
]
# Each defines its flags when imported, so only one of them fits in a process.
ENTRY_POINTS = [
    module for module, path in zip(MODULES, SOURCES, strict=True) if "__main__" in path.read_text()
]
SLOW_LIBRARIES = {"tensorflow", "tensorflow_datasets", "matplotlib", "tensorboard", "av", "clu"}


@pytest.mark.parametrize("module", sorted({*MODULES} - {*ENTRY_POINTS}))
def test_imports(module: str) -> None:
  importlib.import_module(module)


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=lambda p: p.name)
def test_folder_is_a_package(folder: pathlib.Path) -> None:
  assert (folder / "__init__.py").exists(), "the wheel leaves out folders without __init__.py"


def test_every_library_is_declared() -> None:
  """What mla_jax imports is in install_requires; only spaCy and Beam are extras."""
  names = {name for path in SOURCES for name in _imported(path)}
  used = names - set(sys.stdlib_module_names) - {"mla_jax", "spacy", "apache_beam"}
  distributions = importlib.metadata.packages_distributions()
  declared = {
      _canonical(name)
      for name in re.findall(r'^    "([\w.-]+)', (ROOT / "setup.py").read_text(), re.MULTILINE)
  }
  assert "jax" in declared
  missing = {n for n in used if not {_canonical(d) for d in distributions.get(n, [n])} & declared}
  assert not missing


def test_nothing_imports_configs_or_tests() -> None:
  assert not [p for p in SOURCES if {"configs", "tests", "benchmarks"} & _imported(p)]


def test_help_is_quick_and_light() -> None:
  start = time.monotonic()
  done = _python("-X", "importtime", "-m", "mla_jax.main", "--help")
  seconds = time.monotonic() - start
  assert "--config" in done.stdout, done.stderr
  assert "--workdir" in done.stdout
  loaded = set(re.findall(r"\| +(\w+)$", done.stderr, re.MULTILINE))
  assert "mla_jax" in loaded
  assert not loaded & SLOW_LIBRARIES
  assert seconds <= 3 or _python_start() > 0.5, f"{seconds:.1f} s"  # Not on a stalled machine.


@pytest.mark.parametrize(
    "modules",
    [sorted({*MODULES} - {*ENTRY_POINTS}), *([module] for module in ENTRY_POINTS)],
    ids=lambda modules: modules[-1],
)
def test_importing_starts_no_device(modules: list[str]) -> None:
  """An array made at import time would take the accelerator before the flags are read."""
  code = f"""
import sys
for module in {modules!r}:
  __import__(module)
bridge = sys.modules.get("jax._src.xla_bridge")
print(list(bridge._backends) if bridge else [])
"""
  done = _python("-c", code)
  assert done.stdout.strip() == "[]", done.stdout + done.stderr


def _python(*args: str) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
      [sys.executable, *args], cwd=ROOT, capture_output=True, text=True, check=False
  )


def _python_start() -> float:
  start = time.monotonic()
  _python("-c", "")
  return time.monotonic() - start


def _imported(path: pathlib.Path) -> set[str]:
  names: set[str] = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names |= {alias.name.split(".")[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      names.add((node.module or "").split(".")[0])
  return names


def _canonical(name: str) -> str:
  return re.sub(r"[-_.]+", "-", name).lower()
