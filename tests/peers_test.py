"""Whose peer fails, is stopped or falls silent ends too, and says which it was."""

import json

import pytest

from mla_jax import peers, processes
from tests import children

# A service in one process: what the others said is put there by hand.
PROGRAM = """
    import json, sys, threading, time
    from mla_jax import peers, watchdog
    from mla_jax.processes import Service
    peers.POLL_SECONDS = 0.1
    peers.LINGER_SECONDS = 0.2

    class Store(dict):
      def key_value_set(self, key, value, allow_overwrite=False):
        self[key] = value
      def key_value_dir_get(self, prefix):
        return [item for item in self.items() if item[0].startswith(prefix)]

    store = Store()
    def says(number, word):
      store[f"mla_jax/alive/{number}"] = json.dumps([word, "step 6"])
    watchdog.alive("step 7")
"""


def test_jax_which_says_less_is_later() -> None:
  # Its heartbeats lie half the limit apart, so that it may miss one after half the time.
  assert processes.HEARTBEAT_SECONDS / 2 > peers.SILENT_SECONDS + peers.LINGER_SECONDS + 10


def test_the_others_end_with_one_that_failed() -> None:
  code, _, error = children.run(PROGRAM + """
    store["mla_jax/ended/0"] = json.dumps(["failed: /x: cannot be written", 1])
    with peers.Peers(Service(store, 1, 2)):
      time.sleep(30)
  """)
  assert code == 1
  assert error == "error: process 0 failed: /x: cannot be written (process 1 was at step 7)\n"


def test_the_others_end_with_one_that_was_stopped_as_it_did() -> None:
  code, _, error = children.run(PROGRAM + """
    store["mla_jax/ended/1"] = json.dumps(["was told to stop", 75])
    with peers.Peers(Service(store, 0, 2)):
      time.sleep(30)
  """)
  assert code == 75
  assert error == "process 1 was told to stop (process 0 was at step 7)\n"


def test_a_process_that_was_suspended_hears_the_others_anew() -> None:
  child = children.start(PROGRAM + """
    def live():
      word = 0
      while True:
        says(1, str(word := word + 1))
        time.sleep(0.1)
    threading.Thread(target=live, daemon=True).start()
    with peers.Peers(Service(store, 0, 2), silent_seconds=3):
      print("ready", flush=True)
      time.sleep(2)
  """)
  assert children.finish_after_a_stop(child, 4) == (0, "")


def test_the_first_stays_until_the_others_know_and_keeps_its_service() -> None:
  code, out, _ = children.run(PROGRAM + """
    peers.LINGER_SECONDS = 1.0
    store["mla_jax/ended/1"] = json.dumps(["was told to stop", 75])
    def serve():
      for tenth in range(20):
        print(tenth, flush=True)
        time.sleep(0.1)
    with peers.Peers(Service(store, 0, 3)):
      serve()
  """)
  assert code == 75
  assert 9 <= len(out.splitlines()) < 20


@pytest.mark.parametrize("ever", [False, True], ids=["never_heard_of", "heard_once"])
def test_the_first_misses_one_of_several_and_tells_the_others(ever: bool) -> None:
  code, out, error = children.run(PROGRAM + f"""
    def live():
      for word in range(100):
        says(2, str(word))
        time.sleep(0.1)
    threading.Thread(target=live, daemon=True).start()
    if {ever}:
      says(1, "once")
    class Loud(Store):
      def key_value_set(self, key, value, allow_overwrite=False):
        if "ended" in key:
          print(key, value, flush=True)
        super().key_value_set(key, value)
    store.__class__ = Loud
    def stuck_here():
      time.sleep(30)
    with peers.Peers(Service(store, 0, 3), silent_seconds=1.5):
      stuck_here()
  """)
  assert code == 1
  seen = "step 6" if ever else "the start"
  assert f"process 1 has not answered for 1.5 s (it was at {seen})" in error
  assert "this process, 0, was at step 7" in error
  assert "stuck_here" in error
  key, _, value = out.partition(" ")
  assert key == "mla_jax/ended/0"
  assert json.loads(value)[0].startswith("ended the job: process 1 has not answered")


def test_the_others_miss_the_first_by_the_service_s_silence() -> None:
  code, _, error = children.run(PROGRAM + """
    class Gone(Store):
      def key_value_set(self, *unused, **more):
        time.sleep(30)
    with peers.Peers(Service(Gone(), 1, 2), silent_seconds=1):
      time.sleep(30)
  """)
  assert code == 1
  assert "process 0 has not answered for 1 s:" in error
  assert "this process, 1, was at step 7" in error


def test_a_service_that_hangs_keeps_nobody_from_ending() -> None:
  code, _, error = children.run(PROGRAM + """
    class Gone(Store):
      def key_value_set(self, *unused, **more):
        time.sleep(30)
    watchdog.begin_end("error: mine")
    peers.Peers(Service(Gone(), 1, 2)).tell("failed: mine", 1)
    watchdog.leave(1)
  """, timeout=15)
  assert (code, error) == (1, "error: mine\n")


def test_who_answers_in_time_is_not_missed_nor_anyone_after_the_end() -> None:
  code, _, error = children.run(PROGRAM + """
    with peers.Peers(Service(store, 0, 2), silent_seconds=0.8):
      for word in range(20):
        says(1, str(word))
        time.sleep(0.1)
    store["mla_jax/ended/1"] = json.dumps(["failed: late", 1])
    time.sleep(1.2)
  """)
  assert (code, error) == (0, "")
