"""Packages that only an extra installs, and the tests that need them."""

import importlib.util
import os

import pytest


def need(module: str, extra: str) -> None:
  """Skips a test where the module is not installed; with MLA_JAX_REQUIRE_<EXTRA>=1 it fails."""
  found = importlib.util.find_spec(module)
  if found is not None and found.origin is not None:  # A folder of that name has none.
    return
  message = f"{module} is not installed: `make test-{extra}` brings it"
  if os.environ.get(f"MLA_JAX_REQUIRE_{extra.upper()}") == "1":
    pytest.fail(message)
  pytest.skip(message)
