"""Ways in which an annotation file goes wrong, drawn from a seeded generator."""

from collections.abc import Callable, Mapping
import gzip
import json
import random
import re
from typing import Any, TypeAlias

# Name -> content of the files of a folder.
Folder: TypeAlias = dict[str, bytes]

_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 7, 10**20, 1.5, -0.5, float("nan"), float("inf"), "", " ", "7", "-1", "nan",
    "nan-nan", "9-1", "../x", "a b", "\ud800", "x" * 300, [], {}, [1], [2, 1], [0, 10**6], ["a"],
    {"a": 1}, [[0, 99]], [[3, 1]])
_TOKENS = (
    "nan", "-1", "99", "1e400", "", "7.5", "3-1", "\t", ",", '"', "##", "../x", "é", "x" * 300)
_BYTES = b'\x00\xff"0,:[]{} \t\r\n-.e\\#@/'


def mutate(files: Mapping[str, str], others: Mapping[str, str], rng: random.Random) -> Folder:
  """The folder with one to three things wrong.

  Args:
    files: name -> text of a valid folder.
    others: files of other datasets, one of which may take the place of one here.
    rng: makes all choices.
  """
  folder = {name: text.encode() for name, text in files.items()}
  for _ in range(rng.choice((1, 1, 1, 2, 3))):
    name = rng.choice(sorted(folder))
    kind = rng.choice(_KINDS)
    if kind is _swap_files:
      other = rng.choice(sorted(folder))
      folder[name], folder[other] = folder[other], folder[name]
    elif kind is _foreign:
      folder[name] = others[rng.choice(sorted(others))].encode()
    elif kind is _remove and len(folder) > 1:
      del folder[name]
    elif kind is _zip:
      if not name.endswith(".gz"):
        folder[f"{name}.gz"] = gzip.compress(folder.pop(name), 1, mtime=0)
    else:
      folder[name] = kind(folder[name], rng)
  return folder


def change_value(content: bytes, rng: random.Random) -> bytes:
  """One value of a file in place of which another stands; no entry, row or line is taken out."""
  try:
    value = json.loads(content)
  except ValueError:
    changed = _token(content, rng)
    return changed if len(changed.split()) >= len(content.split()) else content
  return json.dumps(_change_leaf(value, rng)).encode()


def _change_leaf(value: Any, rng: random.Random) -> Any:
  if not isinstance(value, list | dict) or not value:
    return rng.choice(_VALUES)
  key = rng.choice(sorted(value)) if isinstance(value, dict) else rng.randrange(len(value))
  value[key] = _change_leaf(value[key], rng)
  return value


def _truncate(content: bytes, rng: random.Random) -> bytes:
  return content[: rng.randrange(len(content) + 1)]


def _change_byte(content: bytes, rng: random.Random) -> bytes:
  changed = bytearray(content or b"x")
  changed[rng.randrange(len(changed))] = rng.choice((rng.choice(_BYTES), rng.randrange(256)))
  return bytes(changed)


def _swap_bytes(content: bytes, rng: random.Random) -> bytes:
  changed = bytearray(content or b"x")
  one, other = rng.randrange(len(changed)), rng.randrange(len(changed))
  changed[one], changed[other] = changed[other], changed[one]
  return bytes(changed)


def _lines(content: bytes, rng: random.Random) -> bytes:
  """Takes out, repeats, empties or exchanges lines."""
  lines = content.split(b"\n")
  one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
  match rng.randrange(4):
    case 0:
      del lines[one]
    case 1:
      lines.insert(other, lines[one])
    case 2:
      lines[one] = b""
    case _:
      lines[one], lines[other] = lines[other], lines[one]
  return b"\n".join(lines)


def _delimiters(content: bytes, rng: random.Random) -> bytes:
  """Tabs for commas or the other way round, everywhere or in one line."""
  lines = content.split(b"\n")
  table = bytes.maketrans(b"\t,", b",\t")
  if rng.randrange(2):
    return content.translate(table)
  place = rng.randrange(len(lines))
  lines[place] = lines[place].translate(table)
  return b"\n".join(lines)


def _token(content: bytes, rng: random.Random) -> bytes:
  """Puts something else in the place of a number or a word."""
  tokens = list(re.finditer(rb"[A-Za-z0-9_.]+", content))
  if not tokens:
    return content
  match = rng.choice(tokens)
  return content[: match.start()] + rng.choice(_TOKENS).encode() + content[match.end() :]


def _json_value(content: bytes, rng: random.Random) -> bytes:
  """Replaces, repeats or takes out a value anywhere in a JSON file, or in a line of one."""
  lines = content.split(b"\n")
  place = rng.randrange(len(lines))
  try:
    value = json.loads(lines[place])
  except ValueError:
    return _token(content, rng)
  lines[place] = json.dumps(_replace(value, rng)).encode()
  return b"\n".join(lines)


def _replace(value: Any, rng: random.Random) -> Any:
  if not isinstance(value, list | dict) or not value or rng.randrange(8) == 0:
    return rng.choice(_VALUES)
  key = rng.choice(sorted(value)) if isinstance(value, dict) else rng.randrange(len(value))
  action = rng.randrange(10)
  if action == 0:
    del value[key]
  elif action == 1 and isinstance(value, list):
    value.append(value[key])
  else:
    value[key] = _replace(value[key], rng)
  return value


def _swap_files(content: bytes, rng: random.Random) -> bytes:
  raise NotImplementedError


def _foreign(content: bytes, rng: random.Random) -> bytes:
  raise NotImplementedError


def _remove(content: bytes, rng: random.Random) -> bytes:
  del rng
  return b""  # Of the last file: an empty one instead.


def _zip(content: bytes, rng: random.Random) -> bytes:
  raise NotImplementedError


_KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _truncate, _truncate, _change_byte, _swap_bytes, _lines, _lines, _delimiters, _token, _token,
    _json_value, _json_value, _json_value, _swap_files, _foreign, _remove, _zip)
