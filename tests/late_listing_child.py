"""`mla_jax.main` whose processes, all but the first, do not see the newest checkpoint yet."""

from unittest import mock

from absl import app
import orbax.checkpoint as ocp

from mla_jax import config_lib, main, processes

_all_steps = ocp.CheckpointManager.all_steps


def all_but_the_newest(manager: ocp.CheckpointManager, read: bool = False) -> list[int]:
  steps = sorted(_all_steps(manager, read))
  return steps if processes.is_first() else steps[:-1]


if __name__ == "__main__":
  with mock.patch.object(ocp.CheckpointManager, "all_steps", all_but_the_newest):
    app.run(main.main, flags_parser=config_lib.parse_flags)
