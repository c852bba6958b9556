"""How the runs of an experiment ended, and what their folders keep of it."""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import json
import pathlib
from typing import Any

from mla_jax import config_lib, whole_files
from mla_jax.data import prepared, record_format
from mla_jax.errors import UserError
from mla_jax.experiments import plan
from mla_jax.experiments.plan import PlannedRun

_STARTED = "started.json"  # Code and data of a training, before it ends.


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a run ended.

  Attributes:
    run: what was planned.
    workdir: of the run.
    metrics: what its evaluation printed; empty if it failed.
    code_version: of the code when it was started.
    seconds: wall time of the process that finished it (a resumed run counts its last part).
    error: the last line it wrote before it failed; None if it did not.
    split: evaluated instead of the run's own, without training; None: its own.
    later_code: versions the code had later, when it went on or by its end.
    trained_by: of an evaluation on `split`, the versions that trained what is evaluated.
  """

  run: PlannedRun
  workdir: pathlib.Path
  metrics: Mapping[str, Any]
  code_version: str
  seconds: float
  error: str | None = None
  split: str | None = None
  later_code: tuple[str, ...] = ()
  trained_by: tuple[str, ...] = ()

  @property
  def versions(self) -> tuple[str, ...]:
    """Every version of the code that had a part in it."""
    return (*self.trained_by, self.code_version, *self.later_code)

  @property
  def command(self) -> list[str]:
    """What a user would type for it, without `python`."""
    return command(self.run, self.workdir, self.split)

  @property
  def log(self) -> pathlib.Path:
    """What its processes wrote on standard error."""
    return self.workdir / "log.txt"

  @property
  def dump(self) -> pathlib.Path:
    """The per-example dump of its evaluation."""
    parts = [self.metrics["dataset"], self.metrics["split"]]
    if other := self.metrics.get("other_data"):
      parts.append(f"data_{other}")
    return self.workdir / "eval" / f"{'_'.join(parts)}.jsonl"

  def dump_digest(self) -> str | None:
    """Of the dump's content as it is now; None where there is no dump."""
    return record_format.digest(self.dump) if self.dump.exists() else None


def command(run: PlannedRun, workdir: pathlib.Path, split: str | None = None) -> list[str]:
  """What a user would type for this run, or for its evaluation on `split`, without `python`."""
  if split is not None:
    places = {key: run.overrides[key] for key in ("data.dir",) if key in run.overrides}
    changes = [f"--config.{key}={value}" for key, value in places.items()]
    changes.append(f"--config.data.eval_split={split}")
    return ["-m", "mla_jax.main", "--mode=eval", f"--workdir={workdir}", *changes]
  changes = [f"--config.{key}={value}" for key, value in run.overrides.items()]
  return ["-m", "mla_jax.main", f"--config={run.config}", f"--workdir={workdir}", *changes]


def workdir_of(run: PlannedRun, out: pathlib.Path) -> pathlib.Path:
  return out / "runs" / run.cell / f"seed_{run.seed}"


def finished(run: PlannedRun, out: pathlib.Path, split: str | None = None) -> Outcome | None:
  """What an earlier command kept of a finished run; None: there is nothing.

  Raises:
    UserError: it is damaged, or of another config; or its dump is another evaluation's by now.
  """
  workdir = workdir_of(run, out)
  path = workdir / _result_name(split)
  found = _read(path, ("metrics", "code_version", "seconds", "config_hash"))
  if found is None:
    return None
  if found["config_hash"] != run.config_hash:
    raise UserError(
        f"{workdir}: was run with another config than the experiment now has"
        f"{_other_config(run, workdir)}: give another --out, or remove the folder to run it again"
    )
  outcome = Outcome(
      run, workdir, found["metrics"], found["code_version"], found["seconds"], split=split,
      later_code=tuple(found.get("later_code", ())), trained_by=tuple(found.get("trained_by", ())),
  )
  if "dump" in found and found["dump"] != outcome.dump_digest():
    raise UserError(
        f"{outcome.dump}: is not what this run wrote: remove {path}, and the run is evaluated again"
    )
  return outcome


def _other_config(run: PlannedRun, workdir: pathlib.Path) -> str:
  """What the run of this folder had otherwise, in brackets; nothing where that was not kept."""
  saved = workdir / "config.json"
  if not saved.exists():
    return ""
  changes = config_lib.diff_configs(config_lib.read_config(saved), plan.config_of(run))
  return f" ({'; '.join(changes[:3])})"


def keep(outcome: Outcome, data: Mapping[str, str]) -> None:
  """Writes what `finished` reads of a run that ended well on this data."""
  content = {
      "metrics": outcome.metrics,
      "config_hash": outcome.run.config_hash,
      "data_fingerprint": data,
      "code_version": outcome.code_version,
      "later_code": outcome.later_code,
      "trained_by": outcome.trained_by,
      "seconds": outcome.seconds,
      "dump": outcome.dump_digest(),
  }
  path = outcome.workdir / _result_name(outcome.split)
  whole_files.write_text(path, json.dumps(content, indent=2) + "\n")


def earlier_code(workdir: pathlib.Path) -> tuple[str, ...]:
  """Versions of the code that trained what a training goes on from; none for a new one."""
  found = _read(workdir / _STARTED, ("code_versions",)) if _has_begun(workdir) else None
  return () if found is None else tuple(found["code_versions"])


def keep_start(workdir: pathlib.Path, versions: Sequence[str], data: Mapping[str, str]) -> None:
  """Writes what `earlier_code` and `check_data` read of a training that has not ended."""
  content = {"code_versions": versions, "data_fingerprint": data}
  whole_files.write_text(workdir / _STARTED, json.dumps(content, indent=2) + "\n")


def check_data(
    run: PlannedRun, out: pathlib.Path, data: Mapping[str, str], split: str | None = None
) -> None:
  """Raises a `UserError` if the run was made, or begun, on other data than this.

  Data that is not known on both sides, such as folders that are gone, is not compared. Media to
  which videos were added since are no other data.
  """
  workdir = workdir_of(run, out)
  names = {_result_name(split), _result_name(None), *([_STARTED] if _has_begun(workdir) else [])}
  for name in sorted(names):
    kept = (_read(workdir / name, ()) or {}).get("data_fingerprint", {})
    other = [
        folder for folder in kept
        if folder in data and kept[folder] != data[folder]
        and not prepared.only_grew(plan.config_of(run), folder, kept[folder])
    ]
    if other:
      raise UserError(
          f"{workdir}: was run on other data than there is now ({', '.join(other)}): give another "
          "--out or the earlier --config.data.dir, or remove the folder to run it again"
      )


def others(runs: Iterable[PlannedRun], out: pathlib.Path, split: str | None = None) -> list[str]:
  """Names of finished runs in the folder that are none of these."""
  names = {run.name for run in runs}
  found = [
      f"{path.parent.parent.name}/{path.parent.name}"
      for path in sorted(out.glob(f"runs/*/seed_*/{_result_name(split)}"))
  ]
  return [name for name in found if name not in names]


def _result_name(split: str | None) -> str:
  return "result.json" if split is None else f"result_{split}.json"


def _read(path: pathlib.Path, keys: Sequence[str]) -> dict[str, Any] | None:
  try:
    found = json.loads(path.read_text())
    missing = [key for key in keys if key not in found]
    if not isinstance(found, dict) or missing:
      raise ValueError(f"lacks {', '.join(missing) or 'everything'}")
  except (FileNotFoundError, NotADirectoryError):
    return None
  except (OSError, ValueError, TypeError) as error:
    raise UserError(
        f"{path}: damaged ({error}): remove this file, and the run is evaluated again"
    ) from None
  return found


def _has_begun(workdir: pathlib.Path) -> bool:
  """Whether there is a checkpoint: what failed before its first has left nothing of its code."""
  return any((workdir / "checkpoints").glob("[0-9]*"))
