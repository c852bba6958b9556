"""The one error a user is meant to see, and how a command shows it."""

from collections.abc import Callable, Collection, Mapping
import difflib
import math
import re
import sys
from typing import Any

_RANGES: dict[str, Callable[[float], bool]] = {
    "at least 1": lambda value: 1 <= value < math.inf,
    "0 or more": lambda value: 0 <= value < math.inf,
    "above 0": lambda value: 0 < value < math.inf,
    "from 0 to below 1": lambda value: 0 <= value < 1,
}


class UserError(Exception):
  """Bad input: the message says what is wrong, where, and what to do, in one line."""


def check_choice(key: str, value: str, choices: Collection[str]) -> None:
  """Raises a `UserError` that names the nearest choice unless `value` is one of them."""
  if value not in choices:
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UserError(f"{key}={value!r}: unknown: {hint}choose one of {', '.join(choices)}")


def check_numbers(
    group: str, values: Mapping[str, Any], ranges: Mapping[str, Collection[str]]
) -> None:
  """Raises a `UserError` unless the numbers of a config's group lie where they must.

  Args:
    group: what its keys stand behind, e.g. "loss".
    values: key -> number; there may be more than are checked.
    ranges: one of `_RANGES` -> the keys whose numbers must lie in it. NaN lies in none.
  """
  for wanted, keys in ranges.items():
    for key in keys:
      if not _RANGES[wanted](values[key]):
        raise UserError(f"{group}.{key}={values[key]}: must be {wanted}")


def check_folder(key: str, folder: str | None) -> None:
  """Raises a `UserError` for an address, e.g. of a bucket, which would be made a folder `./gs:`."""
  if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", folder or ""):
    raise UserError(
        f"{key}={folder}: an address, not a folder: mount it (a bucket with gcsfuse, or as a "
        "volume) and give the folder it is mounted at"
    )


def exit_on_user_error(main: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
  """Wraps an absl `main` so that a `UserError` ends the process with one line and exit code 1."""

  def wrapped(argv: list[str]) -> None:
    try:
      main(argv)
    except UserError as error:
      print(f"error: {error}", file=sys.stderr)
      sys.exit(1)

  return wrapped
