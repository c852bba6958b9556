"""Rows in blocks of one shape, so that what works on them is compiled once."""

from collections.abc import Iterator


def equal_blocks(count: int, size: int) -> Iterator[slice]:
  """Slices of `size` rows that cover `count` >= `size` rows; the last reaches back."""
  for start in range(0, count, size):
    first = min(start, count - size)
    yield slice(first, first + size)
