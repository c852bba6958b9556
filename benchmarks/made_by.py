"""What made a table, as one line of its page; tables are not mixed from several."""

from collections.abc import Mapping

NOT_RECORDED = "code not recorded"


def line(code: str, compilers: Mapping[str, str]) -> str:
  """Of the code's version, and of the compilers' by package."""
  return f"code {code}, {' and '.join(f'{name} {of}' for name, of in compilers.items())}"
