"""The one error a user is meant to see, and how a command shows it."""

from collections.abc import Callable
import sys


class UserError(Exception):
  """Bad input: the message says what is wrong, where, and what to do, in one line."""


def exit_on_user_error(main: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
  """Wraps an absl `main` so that a `UserError` ends the process with one line and exit code 1."""

  def wrapped(argv: list[str]) -> None:
    try:
      main(argv)
    except UserError as error:
      print(f"error: {error}", file=sys.stderr)
      sys.exit(1)

  return wrapped
