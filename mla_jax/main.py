"""The one entry on CPU, GPU and TPU: trains or evaluates a run, or plans one.

python -m mla_jax.main --config=configs/msvd_qa.py --workdir=DIR [--config.data.dir=DIR]
python -m mla_jax.main --mode=eval --workdir=DIR [--step=best] [--config.data.eval_split=test]
python -m mla_jax.main --mode=compile --config=configs/msvd_qa.py --topology=v5e:16x16
"""

import json
import pathlib
import sys

from absl import app, flags

from mla_jax import config_lib, log
from mla_jax.errors import UserError, check_folder, exit_on_user_error

_CONFIG = config_lib.define_config_flags()
flags.declare_key_flag("config")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, logs, report.")
_MODE = flags.DEFINE_enum("mode", "train", ["train", "eval", "compile"], "What to do.")
_COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0 of several.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes the job has.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.")
_DISTRIBUTED = flags.DEFINE_boolean(
    "distributed", False, "Instead of these three: JAX finds them out (TPU pod, Slurm, Kubernetes)."
)
_STEP = flags.DEFINE_string("step", "best", "Checkpoint of --mode=eval: best, latest or a number.")
_STOPPED_EXIT_CODE = flags.DEFINE_integer(
    "stopped_exit_code", 0, "Exit code of a training that SIGTERM or Ctrl-C stopped before its end,"
    " by which a scheduler knows to start it again.", lower_bound=0, upper_bound=255
)

_TOPOLOGY = flags.DEFINE_string(
    "topology", "cpu", "Devices of --mode=compile, which need not be there: v5e:16x16, cpu:8."
)
_FIND_BATCH = flags.DEFINE_boolean(
    "find_batch", False, "--mode=compile: look for the largest batch a chip."
)

_TERMINATED = 143  # What a shell says of a command that SIGTERM ended.


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) > 1:
    raise UserError(f"{argv[1]}: not a flag; see python -m mla_jax.main --help")
  overrides = config_lib.overrides_given()
  check_folder("--workdir", _WORKDIR.value)
  check_folder("--config.data.dir", overrides.get("data.dir"))
  if _MODE.value == "compile":
    _plan()
    return
  if not _WORKDIR.value:
    raise UserError("--workdir: not given; name the folder of the run")
  workdir = pathlib.Path(_WORKDIR.value)
  log.configure()
  # Imported late: they bring jax and tensorflow, which --help does not need. All before the guard:
  # while a library is loaded, no thread of this process can say that it lives.
  from mla_jax import guard, job, processes

  processes.join(
      _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value, found=_DISTRIBUTED.value
  )
  training = _MODE.value == "train"
  stopped_code = _STOPPED_EXIT_CODE.value if training else _TERMINATED
  with guard.guarded(stopped_code):
    run = job.train_and_evaluate if training else job.evaluate
    result = run(_CONFIG.value, overrides, workdir, _STEP.value)
  if result is None:
    sys.exit(stopped_code)
  if processes.is_first():
    print(json.dumps(result))
  sys.stdout.flush()


def _plan() -> None:
  from mla_jax.planner import run as planner

  config = config_lib.load_config(_CONFIG.value, config_lib.overrides_given())
  workdir = pathlib.Path(_WORKDIR.value) if _WORKDIR.value else None
  found = planner.plan(config, _TOPOLOGY.value, find_batch=_FIND_BATCH.value, workdir=workdir)
  print(json.dumps(found), flush=True)


if __name__ == "__main__":
  app.run(main, flags_parser=config_lib.parse_flags)
