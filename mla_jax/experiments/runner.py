"""Runs an experiment's runs as processes of `mla_jax.main`: side by side, resumable."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import json
import pathlib
import queue
import shlex
import signal
import time
from typing import Any

from mla_jax import code_version, cores, disk_space, pretrained_files
from mla_jax.data import prepared
from mla_jax.errors import UserError
from mla_jax.experiments import outcomes as outcomes_lib
from mla_jax.experiments import plan
from mla_jax.experiments.children import Children, side_by_side
from mla_jax.experiments.outcomes import Outcome
from mla_jax.experiments.plan import PlannedRun
from mla_jax.log import logger

_TYPED = "$ python "  # Before each process's command in the log.


@dataclasses.dataclass(frozen=True)
class _Job:
  """A run to do; `trained_by` and `split` as of an `Outcome`, `data` as `_data` says."""

  run: PlannedRun
  workdir: pathlib.Path
  split: str | None
  data: Mapping[str, str]
  trained_by: tuple[str, ...]


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
  checkpoint. A failure is kept in its outcome and does not stop the others; any exception here
  ends those that run.

  Args:
    runs: from `plan.plan_runs`.
    out: of the experiment.
    jobs: processes at a time, at least 1.
    split: evaluates the finished runs on it, and trains nothing; the result is kept beside.
    tell: called with the number of finished runs and each new outcome.

  Returns:
    The outcomes, in the order of `runs`.

  Raises:
    UserError: `out` cannot be written, or holds a run of the same name and another config or
      other data; or, with a `split`, lacks one, or the data has no such split.
  """
  finished = {run.name: outcomes_lib.finished(run, out) for run in runs}
  trained_by = {name: found.versions for name, found in finished.items() if found}
  if split is not None:
    _check_split(runs, finished, out, split)
    finished = {run.name: _evaluated(run, out, split, trained_by[run.name]) for run in runs}
  disk_space.check_writable(out, flag="--out")
  data = {run.name: _data(run, needed=finished[run.name] is None) for run in runs}
  for run in runs:
    outcomes_lib.check_data(run, out, data[run.name], split)
  ended = {name: outcome for name, outcome in finished.items() if outcome}
  to_do = [
      _Job(run, outcomes_lib.workdir_of(run, out), split, data[run.name],
           () if split is None else trained_by[run.name])
      for run in runs
      if run.name not in ended
  ]
  logger.info("%d runs: %d finished earlier, %d to do", len(runs), len(ended), len(to_do))

  def done(outcome: Outcome) -> None:
    ended[outcome.run.name] = outcome
    tell(len(ended), outcome)

  _run_side_by_side(to_do, jobs, done)
  return [ended[run.name] for run in runs]


def _evaluated(
    run: PlannedRun, out: pathlib.Path, split: str, trained_by: tuple[str, ...]
) -> Outcome | None:
  """The evaluation on `split`, unless another training is there than the one it was of."""
  found = outcomes_lib.finished(run, out, split)
  return found if found and found.trained_by == trained_by else None


def _check_split(
    runs: Sequence[PlannedRun],
    finished: Mapping[str, Outcome | None],
    out: pathlib.Path,
    split: str,
) -> None:
  try:
    for run in runs:
      prepared.check_evaluable(plan.config_of(run), split)
  except UserError as error:
    raise UserError(f"--eval_split={split}: {error}") from None
  missing = [name for name, outcome in finished.items() if outcome is None]
  if missing:
    raise UserError(
        f"{out}: {len(missing)} runs are not finished ({', '.join(missing[:3])}): run the "
        "experiment without --eval_split first"
    )


def _data(run: PlannedRun, *, needed: bool) -> dict[str, str]:
  """What the run learns from, by content; empty where that is gone and not `needed` any more."""
  config = plan.config_of(run)
  try:
    return prepared.fingerprint(config) | pretrained_files.fingerprint(config)
  except UserError:
    if needed:
      raise
    return {}


def _run_side_by_side(
    to_do: Sequence[_Job], jobs: int, done: Callable[[Outcome], None]
) -> None:
  shares: queue.Queue[list[int]] = queue.Queue()
  jobs = max(1, min(jobs, len(to_do)))
  for share in _shares(cores.available(), jobs):
    shares.put(share)
  tasks = [functools.partial(_run, shares=shares, job=job) for job in to_do]
  side_by_side(tasks, jobs, done)


def _run(children: Children, shares: "queue.Queue[list[int]]", job: _Job) -> Outcome:
  share = shares.get()
  try:
    cores.pin(share)  # This thread alone, and the process that it starts.
    return _run_process(children, job)
  finally:
    shares.put(share)


def _run_process(children: Children, job: _Job) -> Outcome:
  job.workdir.mkdir(parents=True, exist_ok=True)
  arguments = outcomes_lib.command(job.run, job.workdir, job.split)
  log = job.workdir / "log.txt"
  # Before the process reads the code: by its end a checkout may be another one.
  earlier = outcomes_lib.earlier_code(job.workdir) if job.split is None else ()
  versions = _note_code(earlier, job)
  start = time.monotonic()
  with open(log, "a", encoding="utf-8") as stderr:
    print(f"{_TYPED}{shlex.join(arguments)}", file=stderr, flush=True)
    code, output = children.run(arguments, stderr)
  seconds = time.monotonic() - start
  first, *later = _note_code(versions, job)
  metrics, error = _result(code, output, log)
  outcome = Outcome(
      job.run, job.workdir, metrics, first, seconds, error, job.split, tuple(later), job.trained_by
  )
  if error is None:
    outcomes_lib.keep(outcome, job.data)
  return outcome


def _note_code(earlier: tuple[str, ...], job: _Job) -> tuple[str, ...]:
  """The versions of the code so far; those of a training are kept for when it goes on."""
  version = code_version.current()
  versions = earlier if earlier[-1:] == (version,) else (*earlier, version)
  if job.split is None:
    outcomes_lib.keep_start(job.workdir, versions, job.data)
  return versions


def _result(code: int, output: str, log: pathlib.Path) -> tuple[dict[str, Any], str | None]:
  """The metrics on the last line of a process, or why there are none."""
  lines = output.splitlines()
  if code < 0:
    killed = signal.Signals(-code)
    why = " (no memory left?)" if killed == signal.SIGKILL else ""
    return {}, f"killed by {killed.name}{why}; last it said: {_last_line(log)}"
  if code:
    return {}, _last_line(log)
  if not lines:
    return {}, "stopped by a signal before its end"
  try:
    metrics = json.loads(lines[-1])
  except ValueError:
    metrics = None
  if not isinstance(metrics, dict) or not {"dataset", "split"} <= metrics.keys():
    return {}, f"its last line is no result: {lines[-1][:200]!r}"
  return metrics, None


def _last_line(log: pathlib.Path) -> str:
  """What the latest process of this log said last."""
  last = "no output"
  for line in log.read_text(errors="replace").splitlines():
    if line.startswith(_TYPED):
      last = "no output"
    elif line.strip():
      last = line[:500]
  return last


def _shares(available: Sequence[int], jobs: int) -> list[list[int]]:
  """The cores of each of `jobs` processes; with more processes than cores they share."""
  if jobs >= len(available):
    return [[available[i % len(available)]] for i in range(jobs)]
  return [list(available[i::jobs]) for i in range(jobs)]
