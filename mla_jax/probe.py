"""What does a trained model really use? Evaluates it again on inputs that are spoilt.

python -m mla_jax.probe --workdir=DIR [--step=best] [--config.data.eval_split=test]

Prints one table and, as the last line, its JSON; writes DIR/eval/probes_NAME.json, NAME as of an
evaluation's files.
"""

import json
import pathlib

from absl import app, flags

from mla_jax import config_lib, log
from mla_jax.errors import UserError, check_folder, exit_on_user_error

config_lib.define_override_flags()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a trained run.")
_STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, latest or a number.")


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise UserError(f"{argv[1]}: not a flag; see python -m mla_jax.probe --help")
  if not _WORKDIR.value:
    raise UserError("--workdir: not given; name the folder of a trained run")
  check_folder("--workdir", _WORKDIR.value)
  log.configure()
  # Imported late: they bring jax and tensorflow, which --help does not need.
  from mla_jax import devices, eval_lib, probing

  devices.prepare()
  workdir = pathlib.Path(_WORKDIR.value)
  config = eval_lib.load_config(workdir, None, config_lib.overrides_given())
  result = probing.probe(config, workdir, _STEP.value)
  print(probing.table(result))
  print(json.dumps(result))


if __name__ == "__main__":
  app.run(main, flags_parser=config_lib.parse_flags)
