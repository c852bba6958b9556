"""A table's place in a page: between two marks, so that a command can write it anew."""

import sys


def parts(page: str, name: str) -> tuple[str, str, str]:
  """The page up to the place of this name, mark and all, what stands there, and the rest.

  Raises:
    SystemExit: the page has no such place.
  """
  begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
  before, found, rest = page.partition(begin)
  table, closed, after = rest.partition(end)
  if not found or not closed:
    sys.exit(f"error: put {begin.strip()} and {end} where the tables of the page belong")
  return before + begin, table, end + after
