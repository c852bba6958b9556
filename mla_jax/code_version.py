"""Which code runs, so that hosts agree on it and a result tells what made it."""

from collections.abc import Iterable, Sequence
import contextlib
import hashlib
import os
import pathlib
import re
import subprocess

from mla_jax import __version__

# Whose files are counted though git does not know them: they are imported all the same.
_CODE = ("mla_jax", "configs")


def current(*paths: str) -> str:
  """The git commit if run from a checkout, else the version and a hash of the package's files.

  Where files differ from the commit, it ends in "-dirty-" and a hash of the difference. With paths
  from the checkout's root: the last commit that changed one of them, and what differs in them.
  """
  package = pathlib.Path(__file__).resolve().parent
  # Without it the package is installed; a repository further up is somebody else's.
  if (package.parent / ".git").exists():
    with contextlib.suppress(OSError, subprocess.SubprocessError):
      return _of_checkout(package.parent, paths)
  return of_files(package)


def shortened(version: str) -> str:
  """For a table: a commit's first 12 digits, and whatever else there is to tell it by."""
  return re.sub(r"^([0-9a-f]{12})[0-9a-f]{28}", r"\1", version)


def of_files(package: pathlib.Path) -> str:
  """The version and 8 digits that are equal for equal files, wherever the package lies."""
  # What Python compiles beside them differs from one interpreter to the next.
  paths = (path for path in package.rglob("*") if path.suffix != ".pyc")
  return f"{__version__}-{_digest(_contents(package, paths))}"


def _of_checkout(root: pathlib.Path, paths: Sequence[str]) -> str:
  commit = _git(root, "rev-list", "-1", "HEAD", "--", *paths).decode().strip()
  difference = _git(root, "diff", "--binary", "HEAD", "--", *paths)
  found = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *(paths or _CODE))
  new = _contents(root, (root / name for name in os.fsdecode(found).split("\0")))
  return f"{commit}-dirty-{_digest(difference + new)}" if difference or new else commit


def _contents(root: pathlib.Path, paths: Iterable[pathlib.Path]) -> bytes:
  """A line for every file, by its place below the root."""
  lines = (
      f"{path.relative_to(root).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
      for path in paths
      if path.is_file()
  )
  return os.fsencode("".join(sorted(lines)))


def _digest(content: bytes) -> str:
  return hashlib.sha256(content).hexdigest()[:8]


def _git(root: pathlib.Path, *arguments: str) -> bytes:
  command = ["git", "-C", str(root), *arguments]
  return subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
