"""Reading annotation files so that anything wrong in them is one clear `UserError`."""

from collections.abc import Iterable
import csv
import gzip
import io
import json
import pathlib
import re
from typing import Any, TypeVar
import zlib

from mla_jax.errors import UserError

_ID = re.compile(r"[A-Za-z0-9_.@-]{1,200}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_KINDS = {str: "text", int: "a whole number", list: "a list", dict: "an object"}
MEND = "get the file again or repair it"

T = TypeVar("T")


def find(directory: pathlib.Path, name: str) -> pathlib.Path | None:
  """The file of that name, plain or gzipped (`name.gz`), or None."""
  for path in (directory / name, directory / f"{name}.gz"):
    if path.exists():
      return path
  return None


def require(directory: pathlib.Path, name: str) -> pathlib.Path:
  """`find`, or a `UserError` that says what the folder lacks."""
  path = find(directory, name)
  if path is None:
    raise UserError(f"{directory}: has no {name} (or {name}.gz): put the dataset's file there")
  return path


def read_text(path: pathlib.Path) -> str:
  """A file's text: UTF-8 with or without a byte order mark, gzipped where the name ends in .gz."""
  try:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
  except UnicodeDecodeError as error:
    raise UserError(f"{path}: not UTF-8 text (byte {error.start}): {MEND}") from None
  except EOFError:
    raise UserError(f"{path}: the gzip file is cut short: {MEND}") from None
  except (gzip.BadGzipFile, zlib.error) as error:
    raise UserError(f"{path}: not a sound gzip file ({error}): {MEND}") from None
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror}): check the file") from None


def read_lines(path: pathlib.Path) -> list[tuple[int, str]]:
  """The lines that are not blank, stripped, each with its number counted from 1."""
  lines = read_text(path).replace("\r\n", "\n").split("\n")
  return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def read_json(path: pathlib.Path, kind: type[T]) -> T:
  """A JSON file whose top level is `kind` (list or dict); a key given twice is an error."""

  def no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
      seen: dict[str, Any] = {}
      for key, value in pairs:
        add_new(seen, key, value, f"{path}: key")
    return found

  try:
    value = json.loads(read_text(path), object_pairs_hook=no_twice)
  except json.JSONDecodeError as error:
    raise UserError(
        f"{path}: not JSON (line {error.lineno}, column {error.colno}: {error.msg}), perhaps cut "
        f"short: {MEND}") from None
  except (ValueError, RecursionError) as error:  # A number or a nesting beyond all measure.
    raise UserError(f"{path}: not usable JSON ({type(error).__name__}): {MEND}") from None
  return expect(value, kind, f"{path}: the top level")


def read_csv(path: pathlib.Path, columns: Iterable[str]) -> list[dict[str, str]]:
  """The rows of a comma-separated file with a header that has at least `columns`."""
  try:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    header = reader.fieldnames or ()
    for column in columns:
      if column not in header:
        raise UserError(f"{path}: has no column {column!r} in its first line: {MEND}")
    rows = list(reader)
  except csv.Error as error:
    raise UserError(f"{path}: not a comma-separated table ({error}): {MEND}") from None
  for number, row in enumerate(rows, 2):
    if any(row[column] is None for column in columns):
      raise UserError(f"{path}: row {number}: has too few columns: {MEND}")
  return rows


def expect(value: Any, kind: type[T], where: str) -> T:
  """`value` if it is a `kind` and no bool, else a `UserError`."""
  if isinstance(value, bool) or not isinstance(value, kind):
    raise UserError(f"{where} is {short(value)}, not {_KINDS[kind]}: {MEND}")
  return value


def field(record: dict[str, Any], key: str, kind: type[T], where: str) -> T:
  """`record[key]`, checked to be there and to be a `kind`."""
  if key not in record:
    raise UserError(f"{where}: has no {key!r}, only {short(list(record))}: {MEND}")
  return expect(record[key], kind, f"{where}: {key!r}")


def finite(value: Any, where: str) -> float:
  """A number that is neither NaN nor infinite."""
  if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e15:
    raise UserError(f"{where} is {short(value)}, not a finite number: {MEND}")
  return float(value)


def clean_text(value: Any, where: str) -> str:
  """A caption, question or answer without the blanks around it; an empty one is a `UserError`."""
  text = expect(value, str, where).strip()
  if not text:
    raise UserError(f"{where} is empty: fill it in or take the entry out")
  if _SURROGATE.search(text):
    raise UserError(f"{where} is {short(text)}, not writable as UTF-8: {MEND}")
  return text


def check_id(value: Any, where: str) -> str:
  """An id that is safe in a file name.

  Raises:
    UserError: not a text of letters, digits and `_ . @ -`, longer than 200, or with `..` in it.
  """
  name = expect(value, str, f"{where}: an id")
  if not _ID.fullmatch(name) or ".." in name:
    raise UserError(
        f"{where}: id {short(name)} is not safe as a file name: use letters, digits and _ . @ - "
        "and no '..'")
  return name


def add_new(table: dict[str, T], key: str, value: T, what: str) -> None:
  """Sets `table[key]`; a `UserError` that begins with `what` where it is there already."""
  if key in table:
    raise UserError(f"{what} {short(key)} is there twice: take one out")
  table[key] = value


def short(value: Any) -> str:
  """`repr` in one line of at most 80 characters."""
  shown = ascii(value) if isinstance(value, str) and _SURROGATE.search(value) else repr(value)
  return shown if len(shown) <= 80 else f"{shown[:77]}..."


def stripped_note(path: pathlib.Path, what: str, count: int) -> tuple[str, ...]:
  """The note that `count` texts had blanks around them; none for 0."""
  return (f"{path.name}: {count:,} {what} had blanks around them: taken off",) if count else ()
