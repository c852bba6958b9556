"""What a plan says of a compiled step: whether it fits, and what deserves a look."""

import dataclasses
import re
from typing import Any

import pytest

from mla_jax.planner import compile as compile_lib
from mla_jax.planner import hlo, report
from mla_jax.planner.topology import CHIPS, Target


def test_what_does_not_fit_is_said() -> None:
  memory = compile_lib.Memory(1, 2, 1, 1, 5, 1, total=20 * 10**9)
  compiled = compile_lib.Compiled(64, memory, "", {"text": 1e12}, [], 0, ["a finding"], 4)
  target = Target("v5e:2x2", [None] * 4, CHIPS["v5e"])
  result = report.summarise(compiled, target)
  assert result["fits"] is False
  assert result["seconds_at_least"]["compute"] == pytest.approx(1e12 / 4 / 197e12)
  refused = dataclasses.replace(compiled, memory=None, refused="Used 31.2G of 15.75G hbm")
  result = report.summarise(refused, target, compile_lib.Rows(3, 4))
  assert result["fits"] is False
  shown = report.table(result)
  for words in ("Used 31.2G of 15.75G hbm", "a finding", "3 rows fit, 4 do not"):
    assert words in shown


def test_where_nothing_was_too_large_it_says_so() -> None:
  found = compile_lib.find_rows(lambda rows: True, 4, 8, most_compilations=3)
  assert found == (32, 0)
  compiled = compile_lib.Compiled(64, None, "", {"text": 1e12}, [], 0, [], 4)
  result = report.summarise(compiled, Target("v5e:2x2", [None] * 4, CHIPS["v5e"]), found)
  assert result["too_large_batch_per_chip"] is None
  assert "32 rows fit, more were not tried" in report.table(result)


def _collective(kind: str, megabytes: float, **changes: Any) -> hlo.Collective:
  made = hlo.Collective(
      kind, int(megabytes * 2**20), 1, 8, "f32[9]", "jit(step)/dot", used=True, counted=True
  )
  return dataclasses.replace(made, **changes)


def _flags(*found: hlo.Collective) -> list[str]:
  compiled = compile_lib.Compiled(64, None, "", {}, list(found), 0, [], 10 * 2**20)
  return report.flags(compiled)


def test_what_a_step_should_do_is_not_flagged() -> None:
  assert not _flags(
      _collective("all-reduce", 100.0),
      _collective("all-gather", 10.0),
      _collective("all-gather", 2.5, count=12),  # A stack of 10 MB in 4 turns, for three passes.
      _collective("collective-permute", 100.0, source="jit(step)/ring/ppermute"),
      _collective("all-to-all", 0.5),  # Not worth a line.
  )


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (_collective("all-gather", 1.0, used=False), r"^dead: all-gather f32\[9\] of jit\(step\)"),
        (_collective("all-reduce", 1.0, group=1), "^dead: all-reduce"),
        (_collective("all-to-all", 2.0, count=3), r"^resharding: all-to-all.*: 6\.3 MB a step"),
        (_collective("collective-permute", 2.0), "^resharding: collective-permute"),
        (_collective("all-gather", 10.5), "^resharding: all-gather"),
        (_collective("all-gather", 9.0, count=12), "^resharding: all-gather"),
        (_collective("all-gather", 1.0, counted=False), "in a loop of unknown length"),
    ],
)
def test_what_deserves_a_look_is_flagged(one: hlo.Collective, said: str) -> None:
  (line,) = _flags(one)
  assert re.search(said, line)
