"""Files that are there whole or not at all, whenever the process ends."""

import pathlib


def write_text(path: pathlib.Path, content: str) -> None:
  """Writes a file under a temporary name beside it first; raises OSError as `Path.write_text`."""
  temporary = path.with_name(path.name + ".tmp")
  temporary.write_text(content, encoding="utf-8")
  temporary.replace(path)
