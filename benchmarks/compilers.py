"""Which compilers a table was made by."""

import importlib.metadata


def versions() -> str:
  """Of jax and of what it compiles for TPUs with."""
  names = ("jax", "libtpu")
  return " and ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
