import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from mla_jax.signals import SIGNALS, Stopped, StopSignal, ending_at_once


@pytest.mark.parametrize("which", SIGNALS)
def test_a_signal_sets_the_flag_and_handlers_return(which: signal.Signals) -> None:
  earlier = [signal.getsignal(one) for one in SIGNALS]
  with StopSignal() as stop:
    flags = [stop.requested]
    os.kill(os.getpid(), which)
    flags.append(stop.requested)
  assert flags == [False, True]
  assert [signal.getsignal(one) for one in SIGNALS] == earlier


def test_the_second_interrupt_is_not_polite() -> None:
  earlier = signal.getsignal(signal.SIGINT)
  with StopSignal() as stop:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.requested
    with pytest.raises(KeyboardInterrupt):
      os.kill(os.getpid(), signal.SIGINT)
  assert signal.getsignal(signal.SIGINT) == earlier


def test_another_thread_changes_nothing() -> None:
  earlier = [signal.getsignal(one) for one in SIGNALS]
  found = []

  def run() -> None:
    with StopSignal() as stop:
      found.append([signal.getsignal(one) for one in SIGNALS] == earlier and not stop.requested)

  thread = threading.Thread(target=run)
  thread.start()
  thread.join()
  assert found == [True]


def test_a_terminated_process_finishes_and_exits_cleanly() -> None:
  program = """
      import time
      from mla_jax.signals import StopSignal
      with StopSignal() as stop:
        print("ready", flush=True)
        while not stop.requested:
          time.sleep(0.01)
      print("saved", flush=True)
  """
  child = subprocess.Popen(
      [sys.executable, "-c", textwrap.dedent(program)],
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
  )
  assert child.stdout is not None
  assert child.stdout.readline() == "ready\n"
  child.send_signal(signal.SIGTERM)
  out, err = child.communicate(timeout=30)
  assert (child.returncode, out) == (0, "saved\n")
  assert "SIGTERM: stopping at the next step" in err


def test_where_nothing_must_be_saved_sigterm_ends_at_once_whoever_catches_exceptions() -> None:
  earlier = signal.getsignal(signal.SIGTERM)
  reached = []

  def work() -> None:
    with ending_at_once():
      try:
        os.kill(os.getpid(), signal.SIGTERM)
      except Exception:
        reached.append("blamed something else")
      reached.append("went on")

  with pytest.raises(Stopped):
    work()
  assert reached == []
  os.kill(os.getpid(), signal.SIGTERM)  # A second one does not end the ending.
  signal.signal(signal.SIGTERM, earlier)


def test_afterwards_signals_are_as_they_were() -> None:
  earlier = signal.getsignal(signal.SIGTERM)
  with ending_at_once():
    assert signal.getsignal(signal.SIGTERM) != earlier
  assert signal.getsignal(signal.SIGTERM) == earlier
  with pytest.raises(ValueError, match="other"), ending_at_once():
    raise ValueError("other")
  assert signal.getsignal(signal.SIGTERM) == earlier
