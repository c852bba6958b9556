"""A process that gets nowhere ends with where it stood; one that says it lives goes on."""

import signal

import pytest

from tests import children

WATCHED = """
    import time
    from mla_jax import watchdog
    watchdog.limit(0.6)
    with watchdog.watching():
"""


def test_a_hanging_process_ends_with_where_it_was_and_the_stacks() -> None:
  code, out, error = children.run(WATCHED + """
      watchdog.alive("the evaluation of step 12")
      watchdog.progress("batch 3")
      def stuck_here():
        time.sleep(30)
      stuck_here()
  """)
  assert code == 1
  assert "nothing happened for 0.6 s since the evaluation of step 12, batch 3: " in error
  assert "stuck_here" in error  # The stack.
  assert out == ""


def test_a_call_that_lets_no_thread_run_ends_too() -> None:
  code, _, error = children.run("""
    import ctypes, faulthandler
    from mla_jax import watchdog
    faulthandler.enable()  # As absl does.
    watchdog.limit(0.6)
    with watchdog.watching():
      watchdog.alive("step 12")
      def stuck_here():
        ctypes.PyDLL(None).sleep(30)
      stuck_here()
  """)
  assert code == -signal.SIGABRT
  assert "stuck_here" in error
  *_, last = error.splitlines()
  assert last.startswith(
      "error: nothing happened for 0.6 s since step 12, and no thread of the process could run: "
  )


def test_such_a_call_that_comes_back_in_time_is_none() -> None:
  code, _, error = children.run("""
    import ctypes
    from mla_jax import watchdog
    watchdog.limit(4)
    with watchdog.watching():
      for _ in range(3):
        watchdog.alive("step 12")
        ctypes.PyDLL(None).sleep(2)
  """)
  assert (code, error) == (0, "")


def test_the_start_is_watched_too() -> None:
  code, _, error = children.run(WATCHED + "      time.sleep(30)")
  assert code == 1
  assert "since the start: " in error


def test_a_new_phase_forgets_the_detail_of_the_last() -> None:
  _, out, _ = children.run(WATCHED + """
      watchdog.progress("batch 3")
      watchdog.alive("step 7")
      print(watchdog.where())
  """)
  assert out == "step 7\n"


def test_signs_of_life_keep_a_process_going_and_none_are_needed_without_a_limit() -> None:
  code, _, error = children.run("""
    import time
    from mla_jax import watchdog
    watchdog.limit(3)
    with watchdog.watching():
      for batch in range(10):
        watchdog.progress(f"batch {batch}")
        time.sleep(0.4)
      watchdog.limit(0)
      time.sleep(1.5)
    watchdog.limit(0.2)
    time.sleep(1)  # No longer watched.
  """)
  assert (code, error) == (0, "")


@pytest.mark.parametrize(
    ("wait", "children_too"),
    [("time.sleep(1.5)", False), ("ctypes.PyDLL(None).sleep(9)", True)],
)
def test_a_suspended_process_goes_on(wait: str, children_too: bool) -> None:
  child = children.start(f"""
    import ctypes, time
    from mla_jax import watchdog
    watchdog.limit(3)
    with watchdog.watching():
      time.sleep(1.5)  # Who waits outside has heard of it.
      print("ready", flush=True)
      {wait}
      watchdog.progress("awake")
      time.sleep(0.5)
  """)
  assert children.finish_after_a_stop(child, 6, children_too=children_too) == (0, "")


@pytest.mark.parametrize("full", [False, True])
def test_nobody_who_reads_what_it_says_keeps_it_from_its_end(full: bool) -> None:
  """Standard error is a pipe that is closed, or one that nobody empties."""
  code, _, _ = children.run(f"""
    import os, time
    from mla_jax import watchdog
    out, into = os.pipe()
    os.set_blocking(into, False)
    try:
      while {full}:
        os.write(into, bytes(4096))
    except BlockingIOError:
      os.set_blocking(into, True)
    else:
      os.close(out)
    os.dup2(into, 2)
    watchdog.limit(0.5)
    with watchdog.watching():
      time.sleep(40)
    os._exit(7)
  """)
  assert code == 1


def test_one_thread_alone_tells_why() -> None:
  code, _, error = children.run("""
      import threading, time
      from mla_jax import watchdog
      watchdog.begin_end("first")
      def other():
        watchdog.begin_end("second")
        watchdog.leave(1)
      threading.Thread(target=other, daemon=True).start()
      time.sleep(0.5)
      watchdog.leave(75)
  """)
  assert (code, error) == (75, "first\n")
