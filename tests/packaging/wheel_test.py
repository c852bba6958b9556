"""The built wheel, installed in a clean environment, runs from an empty folder."""

import pathlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from mla_jax import __version__, code_version

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Built from a copy: a build folder in the checkout could bring modules back that are gone."""
  folder = tmp_path_factory.mktemp("wheel")
  source = folder / "source"
  source.mkdir()
  for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
    if (ROOT / name).exists():
      shutil.copy(ROOT / name, source)
  shutil.copytree(ROOT / "mla_jax", source / "mla_jax", ignore=shutil.ignore_patterns("*.pyc"))
  _run(
      sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
      f"--wheel-dir={folder}", str(source), cwd=folder,
  )
  (path,) = folder.glob("*.whl")
  return path


@pytest.fixture(scope="module")
def installed(wheel: pathlib.Path) -> pathlib.Path:
  """The interpreter of a fresh environment with the wheel; it borrows our libraries."""
  env = wheel.parent / "env"
  _run(sys.executable, "-m", "venv", str(env), cwd=wheel.parent)
  python = env / "bin" / "python"
  _run(str(python), "-m", "pip", "install", "-q", "--no-deps", str(wheel), cwd=wheel.parent)
  site = pathlib.Path(
      _run(str(python), "-c", "import site; print(site.getsitepackages()[0])", cwd=wheel.parent)
  )
  # Our own folder, not its .pth files: an editable install must not stand in for the wheel.
  (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
  return python


def test_holds_every_file(wheel: pathlib.Path) -> None:
  files = {
      str(path.relative_to(ROOT))
      for path in (ROOT / "mla_jax").rglob("*")
      if path.is_file() and path.suffix != ".pyc"
  }
  held = set(zipfile.ZipFile(wheel).namelist())
  assert files
  assert files <= held
  assert any(name.endswith("LICENSE") for name in held)
  others = {name.split("/")[0] for name in held} - {"mla_jax"}
  assert others == {f"mla_jax-{__version__}.dist-info"}  # No tests, no configs at the top level.


@pytest.mark.parametrize("entry", ["main", "prepare", "verify", "demo", "compare", "leakage"])
def test_help_from_an_empty_folder(
    entry: str, installed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  done = subprocess.run(
      [str(installed), "-m", f"mla_jax.{entry}", "--help"],
      cwd=tmp_path, capture_output=True, text=True, check=False,
  )
  assert f"python -m mla_jax.{entry}" in done.stdout, done.stderr


def test_every_other_module_imports(installed: pathlib.Path, tmp_path: pathlib.Path) -> None:
  code = """
import importlib, importlib.util, pathlib, pkgutil, sys, mla_jax
assert pathlib.Path(mla_jax.__file__).is_relative_to(sys.prefix)
count = 0
for module in pkgutil.walk_packages(mla_jax.__path__, "mla_jax."):
  if "__main__" not in importlib.util.find_spec(module.name).loader.get_source(module.name):
    importlib.import_module(module.name)
    count += 1
print(count)
"""
  assert int(_run(str(installed), "-c", code, cwd=tmp_path)) > 20


def test_version_without_a_checkout(installed: pathlib.Path, tmp_path: pathlib.Path) -> None:
  code = "from mla_jax import code_version; print(code_version.current())"
  version = _run(str(installed), "-c", code, cwd=tmp_path)
  assert version == code_version.of_files(ROOT / "mla_jax")


def _run(*command: str, cwd: pathlib.Path) -> str:
  done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout.strip()
