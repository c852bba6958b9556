"""Cores where the system tells them, and where it does not."""

import os

import pytest

from mla_jax import cores


def test_those_of_this_process() -> None:
  found = cores.available()
  assert cores.count() == len(found) >= 1
  cores.pin(found)
  assert cores.available() == found


def test_a_system_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
  for name in ("sched_getaffinity", "sched_setaffinity"):
    monkeypatch.delattr(os, name, raising=False)
  monkeypatch.setattr(os, "cpu_count", lambda: 3)
  assert cores.available() == [0, 1, 2]
  cores.pin([0])
  monkeypatch.setattr(os, "cpu_count", lambda: None)
  assert cores.count() == 1
