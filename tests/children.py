"""Programs that end in ways that would end pytest too, in processes of their own."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def start(program: str) -> subprocess.Popen[str]:
  return subprocess.Popen(
      [sys.executable, "-c", textwrap.dedent(program)],
      cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      start_new_session=True,
  )


def finish_after_a_stop(
    child: subprocess.Popen[str], seconds: float, *, children_too: bool = False
) -> tuple[int | None, str]:
  """Suspends a child that has said it is ready; its exit code and standard error.

  Args:
    child: from `start`.
    seconds: for how long.
    children_too: whether the processes that it started stand still as well.
  """
  assert child.stdout is not None
  assert child.stdout.readline() == "ready\n"
  time.sleep(1)  # It is in what comes after these words.
  pids = [child.pid]
  if children_too:
    listed = pathlib.Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text()
    pids += map(int, listed.split())
    assert len(pids) > 1
  for which, wait in ((signal.SIGSTOP, seconds), (signal.SIGCONT, 0)):
    for pid in pids:
      os.kill(pid, which)
    time.sleep(wait)
  _, error = child.communicate(timeout=60)
  return child.returncode, error


def run(program: str, timeout: float = 60) -> tuple[int, str, str]:
  """Exit code, standard output, standard error."""
  child = start(program)
  try:
    out, error = child.communicate(timeout=timeout)
  finally:
    if child.poll() is None:
      os.killpg(child.pid, signal.SIGKILL)
  return child.returncode, out, error
