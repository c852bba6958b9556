"""Reading annotation files so that anything wrong in them is one clear `UserError`."""

from collections.abc import Iterable, Mapping, Sequence
import gzip
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


def find_any(directory: pathlib.Path, names: Iterable[str]) -> pathlib.Path | None:
  """The first of the files that is there, plain or gzipped, or None."""
  return next(filter(None, (find(directory, name) for name in names)), None)


def unread(directory: pathlib.Path, names: Iterable[str], path: pathlib.Path) -> list[str]:
  """A note for each of the files that is there beside `path`, which is read in its place."""
  others = [other for name in names if (other := find(directory, name))]
  return [f"{other.name}: not read, since {path.name} is there"
          for other in others if other != path]


def require(directory: pathlib.Path, name: str) -> pathlib.Path:
  """`find`, or a `UserError` that says what the folder lacks."""
  path = find(directory, name)
  if path is None:
    raise UserError(f"{directory}: has no {name} (or {name}.gz): put the dataset's file there")
  return path


def by_split(
    directory: pathlib.Path, names: Mapping[str, Sequence[str]]
) -> tuple[dict[str, pathlib.Path], list[str]]:
  """The file of each split, and a note for each split that has none or has another one.

  Args:
    directory: holds the files.
    names: split -> the names its file may have, the usual one first.

  Raises:
    UserError: no split has a file.
  """
  found = {split: find_any(directory, choices) for split, choices in names.items()}
  if not any(found.values()):
    wanted = ", ".join(choices[0] for choices in names.values())
    raise UserError(f"{directory}: has none of {wanted} (or .gz): put the dataset's files there")
  notes = [f"{names[split][0]}: not there: no split {split}"
           for split, path in found.items() if path is None]
  for split, path in found.items():
    notes += unread(directory, names[split], path) if path else []
  return {split: path for split, path in found.items() if path is not None}, notes


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
  return _lines(read_text(path))


def _lines(text: str) -> list[tuple[int, str]]:
  lines = text.replace("\r\n", "\n").split("\n")
  return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def read_json(path: pathlib.Path, kind: type[T]) -> T:
  """A JSON file whose top level is `kind` (list or dict); a key given twice is an error."""
  return expect(_parse_json(read_text(path), str(path)), kind, f"{path}: the top level")


def _parse_json(text: str, where: str) -> Any:
  def no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
      seen: dict[str, Any] = {}
      for key, value in pairs:
        add_new(seen, key, value, f"{where}: key")
    return found

  try:
    return json.loads(text, object_pairs_hook=no_twice)
  except json.JSONDecodeError as error:
    raise UserError(
        f"{where}: not JSON (line {error.lineno}, column {error.colno}: {error.msg}), perhaps cut "
        f"short: {MEND}") from None
  except (ValueError, RecursionError) as error:  # A number or a nesting beyond all measure.
    raise UserError(f"{where}: not usable JSON ({type(error).__name__}): {MEND}") from None


def read_records(path: pathlib.Path) -> list[tuple[str, dict[str, Any]]]:
  """The objects of a JSON list, or of a file with one object a line, each with its place."""
  text = read_text(path)
  if text.lstrip().startswith("["):
    records = expect(_parse_json(text, str(path)), list, f"{path}: the top level")
    places = [(f"{path}: entry {number}", record) for number, record in enumerate(records)]
  else:
    lines = [(f"{path}: line {number}", line) for number, line in _lines(text)]
    places = [(where, _parse_json(line, where)) for where, line in lines]
  return [(where, expect(record, dict, where)) for where, record in places]


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


def same(table: dict[str, T], key: str, value: T, what: str) -> None:
  """Sets `table[key]`; a `UserError` that begins with `what` where another value is there."""
  if table.setdefault(key, value) != value:
    raise UserError(f"{what} of {short(key)} is {short(value)} here and {short(table[key])} "
                    f"elsewhere: {MEND}")
