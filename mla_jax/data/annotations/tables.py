"""Tables with a header, strict about what would put a value into the wrong column."""

from collections.abc import Iterable, Iterator
import csv
import io
import pathlib
import re

from mla_jax.data.annotations import files
from mla_jax.errors import UserError

_NAMES = {",": "commas", "\t": "tabs"}


def read_table(
    path: pathlib.Path, columns: Iterable[str], delimiter: str = ",", *, unread: str = ""
) -> list[tuple[str, dict[str, str]]]:
  """The rows of a table whose header has at least `columns`, each with its place ("FILE: row N").

  Args:
    path: the file, gzipped or not.
    columns: those that must be there; all are returned.
    delimiter: "," or tab; quotes as in csv files.
    unread: a column whose values are taken out unseen, so that no quote in them counts, where it
      is the last one.

  Raises:
    UserError: a column that is missing or there twice, the wrong delimiter, a row with too few or
      too many columns, a quote that is not closed.
  """
  return list(stream_table(path, columns, delimiter, unread=unread))


def stream_table(
    path: pathlib.Path,
    columns: Iterable[str],
    delimiter: str = ",",
    *,
    multiline: bool = False,
    unread: str = "",
) -> Iterator[tuple[str, dict[str, str]]]:
  """`read_table` row by row, for tables of millions.

  `multiline`: a quoted value may have several lines, as long as none of them looks like a row.
  """
  rows = _rows(path, delimiter, multiline=multiline, unread=unread)
  _, header = next(rows, ("", []))
  _check_header(path, header, list(columns), delimiter)
  for where, row in rows:
    check_width(row, len(header), where)
    yield where, dict(zip(header, row, strict=True))


def read_rows(
    path: pathlib.Path, delimiter: str = ","
) -> list[tuple[str, list[str]]]:
  """The rows of a table as lists, each with its place; the header is one; blank lines are not."""
  return list(_rows(path, delimiter))


def _rows(
    path: pathlib.Path, delimiter: str, *, multiline: bool = False, unread: str = ""
) -> Iterator[tuple[str, list[str]]]:
  text = files.read_text(path)
  if unread:
    text = _without_last(text, unread, delimiter)
  try:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    width = 0
    for row in reader:
      where = f"{path}: row {reader.line_num}"
      width = width or len(row)
      if any(_swallows(value, delimiter, width if multiline else 1) for value in row):
        raise UserError(f"{where}: a quote is not closed on its line: {files.MEND}")
      if row:
        yield where, row
  except csv.Error as error:
    kind = {",": "comma", "\t": "tab"}[delimiter]
    raise UserError(f"{path}: not a {kind}-separated table ({error}): {files.MEND}") from None


def _without_last(text: str, column: str, delimiter: str) -> str:
  """The table with empty values in its last column, if that is `column`; a row is a line."""
  header, *lines = text.split("\n")
  if header.rstrip("\r").rpartition(delimiter)[2] != column:
    return text
  return "\n".join([header, *("".join(line.rpartition(delimiter)[:2]) for line in lines)])


def _swallows(value: str, delimiter: str, width: int) -> bool:
  """Whether a value has a further line with the delimiters of a row of that width."""
  return ("\n" in value or "\r" in value) and any(
      line.count(delimiter) >= width - 1 for line in value.splitlines()[1:] or [""])


def check_width(row: list[str], width: int, where: str) -> None:
  """Raises `UserError` for a row without exactly `width` columns."""
  if len(row) != width:
    many = "few" if len(row) < width else "many"
    raise UserError(
        f"{where}: has too {many} columns ({len(row)}, not {width}): {files.MEND}")


def parse_int(text: str, where: str) -> int:
  """A whole number in decimal digits."""
  if not re.fullmatch(r" *-?[0-9]{1,15} *", text):
    raise UserError(f"{where} is {files.short(text)}, not a whole number: {files.MEND}")
  return int(text)


def parse_seconds(text: str, where: str) -> float:
  """A finite number in decimal digits."""
  if not re.fullmatch(r" *-?[0-9]{1,12}(\.[0-9]{0,20})? *", text):
    raise UserError(f"{where} is {files.short(text)}, not a number of seconds: {files.MEND}")
  return float(text)


def _check_header(
    path: pathlib.Path, header: list[str], columns: list[str], delimiter: str
) -> None:
  missing = next((column for column in columns if column not in header), None)
  if missing is not None:
    other = next(mark for mark in _NAMES if mark != delimiter)
    swapped = len(header) == 1 and set(columns) <= set(header[0].split(other))
    if swapped and len(columns) > 1:
      raise UserError(f"{path}: its columns are separated by {_NAMES[other]}, not by "
                      f"{_NAMES[delimiter]}: {files.MEND}")
    raise UserError(f"{path}: has no column {missing!r} in its first line: {files.MEND}")
  twice = next((column for column in header if header.count(column) > 1), None)
  if twice is not None:
    raise UserError(f"{path}: column {files.short(twice)} is there twice: take one out")
