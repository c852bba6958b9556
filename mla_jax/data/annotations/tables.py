"""Tables with a header, strict about what would put a value into the wrong column."""

from collections.abc import Iterable
import csv
import io
import pathlib
import re

from mla_jax.data.annotations import files
from mla_jax.errors import UserError

_NAMES = {",": "commas", "\t": "tabs"}


def read_table(
    path: pathlib.Path, columns: Iterable[str], delimiter: str = ","
) -> list[tuple[str, dict[str, str]]]:
  """The rows of a table whose header has at least `columns`, each with its place ("FILE: row N").

  Args:
    path: the file, gzipped or not.
    columns: those that must be there; all are returned.
    delimiter: "," or tab; quotes as in csv files.

  Raises:
    UserError: a column that is missing or there twice, the wrong delimiter, a row with too few or
      too many columns, a quote that is not closed.
  """
  rows = read_rows(path, delimiter)
  header = rows[0][1] if rows else []
  _check_header(path, header, list(columns), delimiter)
  found = []
  for where, row in rows[1:]:
    check_width(row, len(header), where)
    found.append((where, dict(zip(header, row, strict=True))))
  return found


def read_rows(
    path: pathlib.Path, delimiter: str = ","
) -> list[tuple[str, list[str]]]:
  """The rows of a table as lists, each with its place; the header is one; blank lines are not."""
  text = files.read_text(path)
  rows = []
  try:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for row in reader:
      where = f"{path}: row {reader.line_num}"
      if any("\n" in value or "\r" in value for value in row):
        raise UserError(f"{where}: a quote is not closed on its line: {files.MEND}")
      if row:
        rows.append((where, row))
  except csv.Error as error:
    kind = {",": "comma", "\t": "tab"}[delimiter]
    raise UserError(f"{path}: not a {kind}-separated table ({error}): {files.MEND}") from None
  return rows


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
