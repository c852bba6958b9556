"""Training: the loop on one screen, in fixed order: evaluate, save, fetch, step, log."""

import pathlib

from ml_collections import ConfigDict

from mla_jax import (
  agreement,
  checkpoints,
  disk_space,
  processes,
  signals,
  timing,
  watchdog,
  workdir_lock,
)
from mla_jax import run as run_lib
from mla_jax.config_reads import check_all_read, record_reads
from mla_jax.data.sources import Texts
from mla_jax.log import logger
from mla_jax.metrics import MetricAccumulator, MetricWriter
from mla_jax.run import Run
from mla_jax.tasks.base import numbers
from mla_jax.train_state import TrainState
from mla_jax.train_step import Training, make_training


def train(config: ConfigDict, workdir: pathlib.Path) -> Run | None:
  """Trains from the newest checkpoint of the workdir, or from the start, to `train.steps`.

  Killed at any moment and started again it continues as if nothing had happened: the batch of a
  step is a pure function of (seed, step), and all else is in the checkpoint.

  Returns:
    The run; None after a SIGTERM or Ctrl-C, with all saved.

  Raises:
    UserError: bad input of any kind, a non-finite loss, another run in the workdir, or processes
      that differ in what they run or see.
  """
  disk_space.check_writable(workdir)
  with workdir_lock.held(workdir):
    return _train(record_reads(config), workdir)


def _train(config: ConfigDict, workdir: pathlib.Path) -> Run | None:
  watchdog.limit(config.train.hang_seconds)
  watchdog.alive("the start: agreeing with the other processes")
  agreement.check_same(config, training=True)
  agreement.check_shared(workdir)
  watchdog.alive("the start: preparing the workdir")
  run_lib.start_workdir(config, workdir)
  processes.wait_for_all("workdir")
  watchdog.alive("the start: opening the data")
  run = run_lib.open_run(config, workdir)
  training = make_training(run, run_lib.open_sources(run))
  disk_space.check_writable(workdir, 2 * disk_space.state_bytes(training.abstract))
  dev = run_lib.open_dev(run)
  run_lib.open_evaluated(run)  # A split that is not there is found now, not after the training.
  steps = training.every.steps
  with signals.StopSignal() as stop:
    with run_lib.open_checkpoints(run) as saved, MetricWriter(workdir, steps) as writer:
      watchdog.alive("the start: making or restoring the state")
      state = training.start(saved)
      watchdog.alive("the start: reading or making the texts' cache")
      training = training.with_cached_texts(state.params)
      first = int(state.step)
      writer.truncate_after(first)
      logger.info("%s in %s: from step %d to %d", config.name, workdir, first, steps)
      check_all_read(config)
      ended = _loop(training, state, first, dev, stop, saved, writer)
    # A request may have come since the last step, while it was evaluated and saved.
    return run if ended and not stop.stops_at(steps + 1) else None


def _loop(
    training: Training,
    state: TrainState,
    first: int,
    dev: Texts | None,
    stop: signals.StopSignal,
    saved: checkpoints.Checkpointer,
    writer: MetricWriter,
) -> bool:
  every = training.every
  batches = training.batches(range(first, every.steps))
  work = timing.step_work(training.run.config, training.rows, training.run.mesh)
  clock = timing.StepClock(work, every.steps)
  sums = MetricAccumulator()
  clock.start(first)
  for step in range(first, every.steps + 1):
    last = step == every.steps
    stops = stop.stops_at(step)
    evaluates = last or step % every.eval_every == 0
    saves = last or stops or step % every.checkpoint_every == 0
    if step > first and (evaluates or saves):
      with clock.paused():
        watchdog.alive(f"the evaluation and saving of step {step}")
        training.check_finite(sums)
        # Before saving, so that the checkpoint knows its score.
        found = _evaluate(training.run, state, dev, step, writer) if dev and evaluates else {}
        if saves:
          run_lib.keep_config(training.run.config, training.run.workdir)
          saved.save(step, state, found, training.meta)
    if last or stops:
      return not stops
    watchdog.alive(f"step {step}" + (", the first of this start: compiling" * (step == first)))
    with clock.waiting(state.step):
      batch = next(batches)
    with clock.dispatching():
      state, metrics = training.step(state, batch)
      sums.add(metrics, step)
    if (step + 1) % every.log_every == 0 or step + 1 == every.steps:
      training.check_finite(sums)
      scalars = sums.reduce() | {"learning_rate": float(training.lr_fn(step))}
      writer.write(step + 1, scalars | clock.lap(step + 1) | timing.memory())
  return True


def _evaluate(
    run: Run, state: TrainState, dev: Texts, step: int, writer: MetricWriter
) -> dict[str, float]:
  evaluation = run.evaluate(state.eval_params, dev)
  found = {run_lib.BEST_METRIC: evaluation.main}
  writer.write(step, found | numbers(evaluation.metrics, "dev/"))
  return found
