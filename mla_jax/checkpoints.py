"""Checkpoints: saved while training goes on, whole or not at all; the last ones and the best."""

from collections.abc import Mapping
import json
import logging
import os
import pathlib
import shutil
from typing import Any, Self

from absl import logging as absl_logging
import jax
from ml_collections import ConfigDict
import orbax.checkpoint as ocp

from mla_jax import agreement, config_lib, processes, sharding
from mla_jax.errors import UserError, check_numbers
from mla_jax.retention import LastAndBest
from mla_jax.train_state import TrainState

FORMAT = 1
# A replicated array is written in as many pieces as it has replicas, none smaller than this. Each
# piece of each shape is a program: those of small arrays would be compiled for longer than written.
_SMALLEST_PIECE_BYTES = 1 << 20
Meta = dict[str, Any]


class Checkpointer:
  """The checkpoints of one run, by step.

  Keeps the last `keep_last` and the best by `metric` (higher is better; of equals the earliest). A
  save runs in the background; it appears under its final name only when complete, so a killed
  process leaves nothing that could be restored by mistake, and the next start removes what it left.
  An error of a background save is raised by the next call.

  Args:
    directory: the run's `checkpoints` folder; made if absent, unless `read_only`.
    keep_last: how many of the newest to keep, at least 1.
    metric: key of `save`'s metrics; None: only the last are kept and "best" is the latest.
    read_only: neither creates, cleans nor deletes; safe beside a run that is still training.

  Raises:
    UserError: `directory` cannot be made or read, or another process sees other checkpoints in it.
  """

  def __init__(
      self,
      directory: str | os.PathLike[str],
      *,
      keep_last: int = 1,
      metric: str | None = None,
      read_only: bool = False,
  ) -> None:
    check_numbers("train", {"keep_last": keep_last}, {"at least 1": ("keep_last",)})
    self._directory = pathlib.Path(directory).absolute()
    self._policy = LastAndBest(keep_last, metric)
    absl_logging.get_absl_logger().addFilter(_quiet)
    try:
      self._manager = ocp.CheckpointManager(
          self._directory,
          options=ocp.CheckpointManagerOptions(
              best_fn=self._policy.score,  # Makes the manager store the metrics.
              preservation_policy=self._policy,
              read_only=read_only,
          ),
          item_handlers={
              "state": _array_handler(),
              "meta": ocp.JsonCheckpointHandler(),
          },
      )
    except OSError as error:
      reason = error.strerror or error
      raise UserError(f"{self._directory}: {reason}: choose another --workdir") from error
    if not read_only:
      # Before anything is deleted, which all do together.
      agreement.check_checkpoints(self._directory, self.all_steps(), where="checkpoints")
      self._clean()

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *unused: object) -> None:
    self.close()

  def all_steps(self) -> list[int]:
    """Steps of the kept checkpoints, ascending; waits for the save under way."""
    self.wait()
    return sorted(self._manager.all_steps())

  def latest_step(self) -> int | None:
    """The newest checkpoint's step; None when there is none."""
    return max(self.all_steps(), default=None)

  def best_step(self) -> int | None:
    """The step with the highest metric; the latest when no checkpoint has it."""
    best = self._policy.best({step: self.metrics(step) for step in self.all_steps()})
    return self.latest_step() if best is None else best

  def metrics(self, step: int) -> dict[str, float]:
    """The metrics given to `save` at a kept step."""
    return dict(self._manager.metrics(step) or {})

  def save(
      self, step: int, state: TrainState, metrics: Mapping[str, float], meta: Mapping[str, Any]
  ) -> bool:
    """Starts saving; returns when the arrays may change again, False if `step` was saved already.

    Args:
      step: updates done.
      state: what to save.
      metrics: of an evaluation of this state; may be empty.
      meta: JSON values to keep beside the arrays, e.g. config, code_version, data_fingerprint.

    Raises:
      UserError: this save could not start, or the one before it failed.
    """
    if step in self._manager.all_steps():
      return False
    record = {"format": FORMAT, **meta, "leaves": _describe(state)}
    try:
      return self._manager.save(
          step,
          args=ocp.args.Composite(
              state=ocp.args.PyTreeSave(state), meta=ocp.args.JsonSave(record)
          ),
          metrics={name: float(value) for name, value in metrics.items()},
          force=True,
      )
    except Exception as error:  # Orbax and tensorstore raise many kinds for one cause: the disk.
      raise self._failed(error) from error

  def wait(self) -> None:
    """Waits for the save under way.

    Raises:
      UserError: it failed.
    """
    try:
      self._manager.wait_until_finished()
      self._manager.check_for_errors()
    except Exception as error:
      raise self._failed(error) from error

  def close(self) -> None:
    """Waits and releases the background threads; errors as `wait`."""
    try:
      self.wait()
    finally:
      self._manager.close()

  def find(self, step: int | str | None = None) -> int:
    """The step that "latest" (or None), "best" or a number stands for.

    Raises:
      UserError: there is no such checkpoint.
    """
    steps = self.all_steps()
    if not steps:
      raise UserError(f"{self._directory}: no checkpoint: train first, or mend --workdir")
    if step in (None, "latest"):
      return steps[-1]
    if step == "best":
      best = self.best_step()
      assert best is not None  # There are steps.
      return best
    if step not in steps:
      raise UserError(
          f"{self._directory}: no checkpoint of step {step}: kept are {', '.join(map(str, steps))}"
      )
    return int(step)

  def read_meta(self, step: int | str | None = None) -> Meta:
    """The `meta` of a checkpoint with its "format" and "leaves", without reading its arrays.

    Raises:
      UserError: no such checkpoint, or it is damaged, or of a format this code does not read.
    """
    step = self.find(step)
    path = self._directory / str(step) / "meta" / "metadata"
    try:
      meta = json.loads(path.read_text(encoding="utf-8"))
      version = meta["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
      raise UserError(
          f"{path}: unreadable ({error}): remove {path.parent.parent} to go on from another"
      ) from error
    if version != FORMAT:
      raise UserError(
          f"{path}: checkpoint format {version}, this code reads {FORMAT}: use the code version "
          f"that wrote it ({meta.get('code_version', 'unknown')})"
      )
    return meta

  def restore(
      self,
      abstract_state: TrainState,
      step: int | str | None = None,
      *,
      config: Mapping[str, Any] | None = None,
  ) -> TrainState:
    """Reads a checkpoint into the shapes, types and shardings of `abstract_state`.

    The devices may be others than those it was saved from.

    Args:
      abstract_state: from `train_state.abstract_train_state`.
      step: "best", "latest" (or None), or a step.
      config: of this run, as JSON values; if the checkpoint does not fit, the message names the
        keys that differ.

    Raises:
      UserError: no such checkpoint, it does not fit, or it is damaged.
    """
    step = self.find(step)
    meta = self.read_meta(step)
    _check_fit(f"{self._directory}/{step}", meta, _describe(abstract_state), config)
    places = ocp.checkpoint_utils.construct_restore_args(abstract_state)
    try:
      restored = self._manager.restore(
          step,
          args=ocp.args.Composite(
              state=ocp.args.PyTreeRestore(item=abstract_state, restore_args=places)
          ),
      )
    except Exception as error:
      raise UserError(
          f"{self._directory}/{step}: cannot be read ({_first_line(error)}): "
          "remove it to go on from the one before"
      ) from error
    return restored.state

  def _clean(self) -> None:
    # A killed process leaves what it was saving under a temporary name, and what it was deleting,
    # in part, under the final one. Orbax removes the former too, but some time later.
    if processes.is_first():
      for path in self._directory.glob(f"*{ocp.utils.TMP_DIR_SUFFIX}*"):
        shutil.rmtree(path)
    metrics = {step: self.metrics(step) for step in self.all_steps()}
    for step in set(metrics) - self._policy.kept(metrics):
      self._manager.delete(step)

  def _failed(self, error: Exception) -> UserError:
    return UserError(
        f"{self._directory}: saving failed ({_first_line(error)}): free space or mend the folder; "
        "earlier checkpoints are whole, the same command continues from the last"
    )


def _array_handler() -> ocp.PyTreeCheckpointHandler:
  arrays = ocp.type_handlers.ArrayHandler(
      min_slice_bytes_for_replica_parallel=_SMALLEST_PIECE_BYTES
  )
  registry = ocp.type_handlers.create_type_handler_registry((jax.Array, arrays))
  return ocp.PyTreeCheckpointHandler(type_handler_registry=registry)


def _quiet(record: logging.LogRecord) -> bool:
  # Orbax logs every step of a save, and the traceback of an error that we raise in one line.
  return "orbax" not in record.pathname or absl_logging.get_verbosity() >= absl_logging.DEBUG


def _describe(state: Any) -> dict[str, str]:
  """Every leaf as "float32[3,4]" by its path."""
  return {
      name: f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
      for name, leaf in sharding.named_leaves(state).items()
  }


def _check_fit(
    where: str, meta: Meta, expected: Mapping[str, str], config: Mapping[str, Any] | None
) -> None:
  found = meta["leaves"]
  wrong = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
  if not wrong:
    return
  name = wrong[0]
  message = (
      f"{where}: does not fit this run: {name}: found {found.get(name, 'nothing')}, "
      f"expected {expected.get(name, 'nothing')}"
  )
  if len(wrong) > 1:
    message += f", and {len(wrong) - 1} more"
  differences = []
  if config and "config" in meta:
    differences = config_lib.diff_configs(ConfigDict(meta["config"]), ConfigDict(config))
  if differences:
    shown = "; ".join(differences[:5]) + ("; ..." if len(differences) > 5 else "")
    message += f"; it was written by another config ({shown})"
  raise UserError(f"{message}: use that run's config, or a new --workdir")


def _first_line(error: Exception) -> str:
  lines = str(error).strip().splitlines()
  return lines[0][:300] if lines else type(error).__name__
