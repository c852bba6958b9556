"""Becomes `python ARGUMENTS`, which ends with the runner: python -m ... PARENT_ID ARGUMENTS.

A runner that is killed (kill -9, no memory left) cannot end its trainings, and one that is left
over holds its workdir. Workers of `data/process_pool.py` watch a pipe that multiprocessing gave
them; a command has none, but Linux can be asked to kill it when its parent ends, and an exec keeps
that. It is asked here, since Python code between fork and exec (`preexec_fn`) may hang a process
that has threads. The signal is SIGKILL: a rerun must find the workdir free, and the last checkpoint
is whole. By "parent" Linux means the thread that started it, which waits for its end.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
  parent, *arguments = sys.argv[1:]
  if sys.platform == "linux":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != int(parent):  # It has ended already.
      sys.exit(1)
  os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
  main()
