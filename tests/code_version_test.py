"""Which code a run says it was made by."""

import pathlib
import re
import shutil
import subprocess

import pytest

from mla_jax import __version__, code_version

PACKAGE = pathlib.Path(code_version.__file__).parent


@pytest.fixture
def root(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
  """What holds a package of one module, which stands for ours."""
  return _use(_package(tmp_path / "one"), monkeypatch)


def _package(root: pathlib.Path) -> pathlib.Path:
  (root / "mla_jax" / "data").mkdir(parents=True)
  (root / "mla_jax" / "code_version.py").write_text("LIMIT = 1\n")
  (root / "mla_jax" / "data" / "page.css").write_text("p {}\n")
  return root


def _use(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
  monkeypatch.setattr(code_version, "__file__", str(root / "mla_jax" / "code_version.py"))
  return root


def test_an_installed_package_is_its_version_and_its_content() -> None:
  assert re.fullmatch(rf"{re.escape(__version__)}-[0-9a-f]{{8}}", code_version.of_files(PACKAGE))


def test_installed_copies_agree_wherever_they_are(
    root: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  mine = code_version.current()
  other = shutil.copytree(root, tmp_path / "elsewhere" / "two")
  compiled = other / "mla_jax" / "__pycache__" / "code_version.cpython-311.pyc"
  compiled.parent.mkdir()
  compiled.write_bytes(b"of one interpreter")
  _use(other, monkeypatch)
  assert code_version.current() == mine


@pytest.mark.parametrize("name", ["mla_jax/code_version.py", "mla_jax/data/page.css"])
def test_installed_copies_that_differ_in_a_line(root: pathlib.Path, name: str) -> None:
  before = code_version.current()
  with open(root / name, "a") as file:
    file.write("LIMIT = 2\n")
  assert code_version.current() != before


def test_installed_copies_that_differ_in_a_files_place(root: pathlib.Path) -> None:
  before = code_version.current()
  (root / "mla_jax" / "data" / "page.css").rename(root / "mla_jax" / "page.css")
  assert code_version.current() != before


def test_without_git(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
  installed = code_version.current()
  (root / ".git").mkdir()  # No repository: git fails, and so does its absence.
  assert code_version.current() == installed
  monkeypatch.setenv("PATH", "")
  assert code_version.current() == installed


@pytest.fixture
def commit(root: pathlib.Path) -> str:
  """The only one of a checkout with a tag and a file beside the package."""
  if not shutil.which("git"):
    pytest.skip("no git on this machine")
  git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
  (root / "file").write_text("1")
  (root / ".gitignore").write_text("*.swp\n")
  for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "1"], ["tag", "v9"]):
    subprocess.run([*git, *command], check=True)
  head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
  return head.stdout.strip()


def test_commit(root: pathlib.Path, commit: str) -> None:
  assert code_version.current() == commit
  (root / "file").write_text("2")
  other = code_version.current()
  assert re.fullmatch(rf"{commit}-dirty-[0-9a-f]{{8}}", other)
  (root / "file").write_text("3")
  assert code_version.current() not in (other, commit)
  (root / "file").write_text("1")
  assert code_version.current() == commit


def test_of_some_paths_it_is_the_commit_that_changed_them(root: pathlib.Path, commit: str) -> None:
  git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
  (root / "file").write_text("2")
  subprocess.run([*git, "commit", "-q", "-a", "-m", "2"], check=True)
  assert code_version.current() != commit
  assert code_version.current("mla_jax", "configs") == commit
  (root / "file").write_text("3")
  assert code_version.current("mla_jax") == commit
  assert code_version.current("file").split("-")[1] == "dirty"


@pytest.mark.parametrize("folder", ["mla_jax", "mla_jax/data", "configs"])
def test_files_that_git_does_not_know_yet(root: pathlib.Path, commit: str, folder: str) -> None:
  new = root / folder / "new module é.py"
  new.parent.mkdir(exist_ok=True)
  new.write_text("LIMIT = 1\n")
  one = code_version.current()
  assert re.fullmatch(rf"{commit}-dirty-[0-9a-f]{{8}}", one)
  new.write_text("LIMIT = 2\n")
  assert code_version.current() not in (one, commit)
  new.unlink()
  assert code_version.current() == commit


def test_files_that_are_no_code_of_the_checkout(root: pathlib.Path, commit: str) -> None:
  (root / "notes").write_text("1")
  (root / "mla_jax" / "code_version.py.swp").write_text("1")
  assert code_version.current() == commit


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        ("0123456789" * 4, "012345678901"),
        ("0123456789" * 4 + "-dirty-89abcdef", "012345678901-dirty-89abcdef"),
        ("0.1.0-89abcdef", "0.1.0-89abcdef"),
    ],
)
def test_shortened_it_still_tells_versions_apart(version: str, shown: str) -> None:
  assert code_version.shortened(version) == shown
