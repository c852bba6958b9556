"""Runs an experiment's runs as processes of `mla_jax.main`: side by side, resumable."""

from collections.abc import Callable, Mapping, Sequence
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import queue
import shlex
import subprocess
import sys
import time
from typing import Any

from mla_jax import config_lib, whole_files
from mla_jax.errors import UserError
from mla_jax.experiments.plan import PlannedRun
from mla_jax.log import logger


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a run ended.

  Attributes:
    run: what was planned.
    workdir: of the run.
    metrics: what its evaluation printed; empty if it failed.
    code_version: of the code that ran it.
    seconds: wall time of the process that finished it (a resumed run counts its last part).
    error: the last line it wrote before it failed; None if it did not.
    split: evaluated instead of the run's own, without training; None: its own.
  """

  run: PlannedRun
  workdir: pathlib.Path
  metrics: Mapping[str, Any]
  code_version: str
  seconds: float
  error: str | None = None
  split: str | None = None

  @property
  def command(self) -> list[str]:
    """What a user would type for it, without `python`."""
    return command(self.run, self.workdir, self.split)

  @property
  def dump(self) -> pathlib.Path:
    """The per-example dump of its evaluation."""
    name = f"{self.metrics['dataset']}_{self.metrics['split']}"
    return self.workdir / "eval" / f"{name}.jsonl"


def command(run: PlannedRun, workdir: pathlib.Path, split: str | None = None) -> list[str]:
  """What a user would type for this run, or for its evaluation on `split`, without `python`."""
  if split is not None:
    changed = f"--config.data.eval_split={split}"
    return ["-m", "mla_jax.main", "--mode=eval", f"--workdir={workdir}", changed]
  changes = [f"--config.{key}={value}" for key, value in run.overrides.items()]
  return ["-m", "mla_jax.main", f"--config={run.config}", f"--workdir={workdir}", *changes]


def run_all(
    runs: Sequence[PlannedRun],
    out: pathlib.Path,
    *,
    jobs: int,
    split: str | None = None,
    tell: Callable[[int, Outcome], None] = lambda count, outcome: None,
) -> list[Outcome]:
  """Runs what is not finished yet, `jobs` at a time, each on its share of the cores.

  A finished run has `OUT/runs/<cell>/seed_<s>/result.json`; an interrupted one goes on from its
  checkpoint. A failure is kept in its outcome and does not stop the others.

  Args:
    runs: from `plan.plan_runs`.
    out: of the experiment.
    jobs: processes at a time, at least 1.
    split: evaluates the finished runs on it, and trains nothing; the result is kept beside.
    tell: called with the number of finished runs and each new outcome.

  Returns:
    The outcomes, in the order of `runs`.

  Raises:
    UserError: `out` holds a finished run of the same name and another config, or, with a `split`,
      lacks one.
  """
  finished = {run.name: _finished(run, out) for run in runs}
  if split is not None:
    missing = [name for name, outcome in finished.items() if outcome is None]
    if missing:
      raise UserError(
          f"{out}: {len(missing)} runs are not finished ({', '.join(missing[:3])}): run the "
          "experiment without --eval_split first"
      )
    finished = {run.name: _finished(run, out, split) for run in runs}
  cores: queue.Queue[set[int]] = queue.Queue()
  for share in _shares(sorted(os.sched_getaffinity(0)), jobs):
    cores.put(share)
  outcomes = {name: outcome for name, outcome in finished.items() if outcome}
  waiting = [run for run in runs if run.name not in outcomes]
  logger.info("%d runs: %d finished earlier, %d to do", len(runs), len(outcomes), len(waiting))
  with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
    started = [pool.submit(_run, run, out, cores, split) for run in waiting]
    for future in concurrent.futures.as_completed(started):
      outcome = future.result()
      outcomes[outcome.run.name] = outcome
      tell(len(outcomes), outcome)
  return [outcomes[run.name] for run in runs]


def workdir_of(run: PlannedRun, out: pathlib.Path) -> pathlib.Path:
  return out / "runs" / run.cell / f"seed_{run.seed}"


def _result(workdir: pathlib.Path, split: str | None) -> pathlib.Path:
  return workdir / ("result.json" if split is None else f"result_{split}.json")


def _finished(run: PlannedRun, out: pathlib.Path, split: str | None = None) -> Outcome | None:
  workdir = workdir_of(run, out)
  path = _result(workdir, split)
  if not path.exists():
    return None
  try:
    found = json.loads(path.read_text())
    outcome = Outcome(
        run, workdir, found["metrics"], found["code_version"], found["seconds"], split=split
    )
    same = found["config_hash"] == run.config_hash
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise UserError(f"{path}: unreadable ({error}): remove {workdir} to run it again") from None
  if not same:
    raise UserError(
        f"{workdir}: was run with another config than the experiment now has: give another --out, "
        "or remove the folder to run it again"
    )
  return outcome


def _run(
    run: PlannedRun, out: pathlib.Path, cores: "queue.Queue[set[int]]", split: str | None
) -> Outcome:
  share = cores.get()
  try:
    # Of this thread alone, and inherited by the process that it starts.
    os.sched_setaffinity(0, share)
    return _run_process(run, workdir_of(run, out), split)
  finally:
    cores.put(share)


def _run_process(run: PlannedRun, workdir: pathlib.Path, split: str | None) -> Outcome:
  workdir.mkdir(parents=True, exist_ok=True)
  arguments = command(run, workdir, split)
  log = workdir / "log.txt"
  start = time.monotonic()
  with open(log, "a", encoding="utf-8") as stderr:
    print(f"$ python {shlex.join(arguments)}", file=stderr, flush=True)
    done = subprocess.run(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True, check=False
    )
  seconds = time.monotonic() - start
  version = config_lib.code_version()
  lines = done.stdout.splitlines()
  if done.returncode or not lines:
    error = _last_line(log) if done.returncode else "stopped by a signal before its end"
    return Outcome(run, workdir, {}, version, seconds, error=error, split=split)
  result = {
      "metrics": json.loads(lines[-1]),
      "config_hash": run.config_hash,
      "code_version": version,
      "seconds": seconds,
  }
  whole_files.write_text(_result(workdir, split), json.dumps(result, indent=2) + "\n")
  return Outcome(run, workdir, result["metrics"], version, seconds, split=split)


def _last_line(log: pathlib.Path) -> str:
  lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
  return lines[-1][:500] if lines else "no output"


def _shares(cores: Sequence[int], jobs: int) -> list[set[int]]:
  """The cores of each of `jobs` processes; with more processes than cores they share."""
  if jobs >= len(cores):
    return [{cores[i % len(cores)]} for i in range(jobs)]
  return [set(cores[i::jobs]) for i in range(jobs)]
