"""Counting what a reader repairs or leaves out, so that every such thing becomes a note."""

import pathlib
from typing import Any

from mla_jax.data.annotations import files

_NAMED = 10  # Places named in a note about many.


class Tally:
  """What was done to the entries of one file, and where."""

  def __init__(self, path: pathlib.Path):
    self._name = path.name
    self._counts: dict[str, int] = {}
    self._places: dict[str, list[str]] = {}
    self._blanks: dict[str, int] = {}

  def add(self, what: str, place: str = "") -> None:
    """Counts one thing; `place` is named in the note where something is left out."""
    self._counts[what] = self._counts.get(what, 0) + 1
    if place:
      self._places.setdefault(what, []).append(place)

  def text(self, value: Any, where: str, what: str) -> str:
    """`files.clean_text`, counting those of `what` (a plural) that had blanks around them."""
    text = files.clean_text(value, where)
    if text != value:
      self._blanks[what] = self._blanks.get(what, 0) + 1
    return text

  def notes(self) -> tuple[str, ...]:
    """One line a kind of thing, in the order in which they first came up; blanks come last."""
    lines = [f"{count:,} {what}{self._named(what)}" for what, count in self._counts.items()]
    lines += [f"{count:,} {what} had blanks around them: taken off"
              for what, count in self._blanks.items()]
    return tuple(f"{self._name}: {line}" for line in lines)

  def _named(self, what: str) -> str:
    places = self._places.get(what, [])
    more = ", ..." if len(places) > _NAMED else ""
    return f" ({', '.join(places[:_NAMED])}{more})" if places else ""
