"""Where a process was is told after it was killed, and not after it ended by itself."""

import os
import signal

import pytest

from tests import children

PROGRAM = """
    import os, time
    from mla_jax.beside import LastWords
    with LastWords("process 1") as words:
      words.say("the evaluation of step 2, batch 3")
      words.say("step 12")
      print("ready", flush=True)
"""


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os.abort()"])
def test_a_process_that_is_killed(end: str) -> None:
  code, _, error = children.run(f"{PROGRAM}      {end}")
  assert code < 0
  assert "error: process 1 was ended from outside, or by a library: at step 12\n" in error
  assert "batch" not in error


@pytest.mark.parametrize("end", ["pass", "words.none(); os._exit(1)"])
def test_a_process_that_ends_by_itself(end: str) -> None:
  assert children.run(f"{PROGRAM}      {end}")[2] == ""


def test_a_signal_to_the_group_leaves_it_alone() -> None:
  child = children.start(f"{PROGRAM}      time.sleep(60)")
  assert child.stdout is not None
  assert child.stdout.readline() == "ready\n"
  os.killpg(child.pid, signal.SIGTERM)
  _, error = child.communicate(timeout=60)
  assert "at step 12" in error
