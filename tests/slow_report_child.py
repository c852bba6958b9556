"""`mla_jax.main` whose report, the last that a run does, takes its first process ten minutes."""

import time
from unittest import mock

from absl import app

from mla_jax import config_lib, eval_lib, main, processes


def wait(*unused: object) -> None:
  if processes.is_first():  # The others are at the barrier.
    time.sleep(600)


if __name__ == "__main__":
  with mock.patch.object(eval_lib, "write_report", wait):
    app.run(main.main, flags_parser=config_lib.parse_flags)
