"""Which code a run says it was made by."""

import pathlib
import subprocess

import pytest

from mla_jax import __version__, config_lib


@pytest.fixture
def checkout(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
  monkeypatch.setattr(config_lib, "__file__", str(tmp_path / "mla_jax" / "config_lib.py"))
  return tmp_path


def test_installed(checkout: pathlib.Path) -> None:
  assert config_lib.code_version() == __version__


def test_without_git(
    checkout: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  (checkout / ".git").mkdir()  # No repository: git fails, and so does its absence.
  assert config_lib.code_version() == __version__
  monkeypatch.setenv("PATH", "")
  assert config_lib.code_version() == __version__


def test_commit(checkout: pathlib.Path) -> None:
  git = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@b"]
  (checkout / "file").write_text("1")
  try:
    subprocess.run(["git", "--version"], check=True, capture_output=True)
  except FileNotFoundError:
    pytest.skip("no git on this machine")
  for command in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "1"], ["tag", "v9"]):
    subprocess.run([*git, *command], check=True)
  head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
  assert config_lib.code_version() == head.stdout.strip()
  (checkout / "file").write_text("2")
  other = config_lib.code_version()
  assert other.startswith(f"{head.stdout.strip()}-dirty-")
  (checkout / "file").write_text("3")
  assert config_lib.code_version() not in (other, head.stdout.strip())
  (checkout / "file").write_text("1")
  assert config_lib.code_version() == head.stdout.strip()
