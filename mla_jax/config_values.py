"""Values of a config: read from text by their type, turned to JSON's types and back."""

import ast
from collections.abc import Iterable, Sequence
import difflib
import json
from typing import Any

from ml_collections import ConfigDict

from mla_jax.errors import UserError

_FALSE_AND_TRUE = {"false": False, "0": False, "no": False, "true": True, "1": True, "yes": True}
_DESCRIPTIONS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    tuple: "a tuple, such as '(1, 2)'",
    list: "a tuple, such as '(1, 2)'",
}


def parse_value(where: str, text: str, current: Any, kind: type) -> Any:
  """The value that `text` means for a key of type `kind` that is now `current`."""
  try:
    if text == "None" and current is None:
      return None
    if kind is str:
      return text
    if kind is bool:
      return _FALSE_AND_TRUE[text.lower()]
    if kind in (int, float):
      return kind(text)
    if kind in (tuple, list):
      return _parse_sequence(text, current or ())
  except (KeyError, ValueError, SyntaxError):
    raise UserError(f"{where}: give {describe(kind)} (it is {current!r} now)") from None
  # The type of a key that is None is unknown, as in a config read from JSON.
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return text


def describe(kind: type) -> str:
  """A type's name for people."""
  return _DESCRIPTIONS.get(kind, f"a {kind.__name__}")


def _parse_sequence(text: str, current: Sequence[Any]) -> tuple[Any, ...]:
  try:
    value = ast.literal_eval(text) if text else ()
  except (ValueError, SyntaxError):
    if "," in text or text[0] in "([":
      raise
    value = text  # One word needs no quotes.
  value = tuple(value) if isinstance(value, (tuple, list)) else (value,)
  kinds = {type(item) for item in current}
  if kinds and not {type(item) for item in value} <= kinds | ({int} if float in kinds else set()):
    raise ValueError
  return value


def nearest(name: str, names: Iterable[str]) -> str | None:
  """The name most like this one; for a dotted name also one that ends alike."""
  names = list(names)
  ends_alike = [other for other in names if other.split(".")[-1] == name.split(".")[-1]]
  near = difflib.get_close_matches(name, ends_alike, 1, 0.0)
  return next(iter(near or difflib.get_close_matches(name, names, 1)), None)


def to_plain(config: ConfigDict, where: str = "config") -> dict[str, Any]:
  """Nested dicts and lists of what JSON has, with references resolved."""
  return _plain(config.to_dict(), where)


def _plain(value: Any, where: str) -> Any:
  if isinstance(value, (dict, ConfigDict)):
    if any(not isinstance(key, str) for key in value):
      raise UserError(f"{where}: has a key that is no string: name keys by strings")
    return {key: _plain(item, f"{where}: {key}") for key, item in dict(value).items()}
  if isinstance(value, (tuple, list)):
    return [_plain(item, where) for item in value]
  if value is None or type(value) in (bool, int, float, str):
    return value
  raise UserError(
      f"{where}: is a {type(value).__name__}: a config holds numbers, strings, bools, tuples, None"
  )


def from_plain(value: Any) -> Any:
  """The inverse of `to_plain`: dicts become ConfigDicts, lists tuples."""
  if isinstance(value, dict):
    return ConfigDict({key: from_plain(item) for key, item in value.items()})
  return tuple(map(from_plain, value)) if isinstance(value, list) else value


def flatten(config: ConfigDict) -> dict[str, Any]:
  """Dotted key -> value of every key that is no group, in order."""
  return dict(_flat(to_plain(config)))


def _flat(plain: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
  for key, value in plain.items():
    if isinstance(value, dict):
      yield from _flat(value, f"{prefix}{key}.")
    else:
      yield f"{prefix}{key}", value


def canonical(plain: Any) -> str:
  """One text for equal values, whatever the order of their keys."""
  return json.dumps(plain, sort_keys=True)
