"""Work of `prepare` cut into tasks for Apache Beam: a list of lines, a part of it a task.

The lines lie in a folder that every worker sees; a task gets the number of its part and where it
begins, and leaves files there. So nothing large goes through Beam or into its description of the
pipeline, and a run that was interrupted goes on with the parts that are not done.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import sys
from typing import Any, TypeAlias, TypeVar
import uuid

from mla_jax.errors import UserError

Part: TypeAlias = tuple[int, int]  # Its number, and the byte of the list at which it begins.
T = TypeVar("T")
_NOTE = re.compile(r"\[while running '[^']*'\]")
_LIST, _PLAN = "list.jsonl", "plan.json"
# Beam's runner in this process, in Python. What it calls DirectRunner may download another one.
_DIRECT = "FnApiRunner"


@dataclasses.dataclass(frozen=True)
class Beam:
  """Which runner runs the tasks, and its flags, as Beam itself reads them."""

  runner: str = "DirectRunner"
  flags: tuple[str, ...] = ()

  def options(self) -> Any:
    """The flags as Beam's `PipelineOptions`: call it first, so that a mistake costs no work.

    Raises:
      UserError: Beam is not installed, does not know the runner, or refuses a flag.
    """
    try:
      from apache_beam.options.pipeline_options import PipelineOptions
      from apache_beam.runners.runner import create_runner
    except ImportError:
      raise UserError(
          "--runner: Apache Beam is not installed: install mla_jax[beam] into an environment of"
          " its own, since it needs older versions of some packages") from None
    runner = _DIRECT if self.runner in ("DirectRunner", "direct") else self.runner
    options = PipelineOptions([f"--runner={runner}", *self.flags])
    said = io.StringIO()
    try:
      with contextlib.redirect_stderr(said):  # argparse shows all of Beam's flags.
        options.get_all_options()
    except SystemExit:
      reason = said.getvalue().strip().splitlines()[-1].partition("error: ")[2]
      raise UserError(f"--beam_flag: {reason}: see the options of Beam's pipelines") from None
    try:
      create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
      raise UserError(f"--runner={self.runner}: {_reason(error)}: name another one") from None
    return options

  def run(self, name: str, task: Callable[[T], None], elements: Sequence[T]) -> None:
    """Calls `task`, picklable, on every element, wherever the runner does it; any order.

    Raises:
      UserError: see `options`; or a task failed.
    """
    if not elements:
      return
    options = self.options()
    import apache_beam

    print(f"{name}: {len(elements):,} tasks for {self.runner}", file=sys.stderr)
    try:
      with apache_beam.Pipeline(options=options) as pipeline:
        created = pipeline | "list" >> apache_beam.Create(list(elements))
        _ = created | "spread" >> apache_beam.Reshuffle() | name >> apache_beam.Map(task)
    except Exception as error:
      raise UserError(
          f"{name}: {self.runner} failed: {_reason(error)}: mend it and run the same command again,"
          " finished parts are kept") from error


def _reason(error: Exception) -> str:
  """The last line of Beam's message, without its note of where that was."""
  lines = [_NOTE.sub("", line).strip() for line in str(error).splitlines()]
  lines = [line for line in lines if line]
  return lines[-1][:300] if lines else type(error).__name__


def write_list(
    folder: pathlib.Path, header: dict[str, Any], lines: Iterable[Any], size: int
) -> list[Part]:
  """Lays down the list of what is to be done; the same list as before keeps what is done of it.

  Args:
    folder: of the tasks, made where it is not there; another list empties it.
    header: what else the results depend on.
    lines: JSON values, one each.
    size: lines a part.

  Returns:
    The parts, in order.
  """
  folder.mkdir(exist_ok=True)
  new = folder / f"{_LIST}.{uuid.uuid4().hex}"
  digest = hashlib.sha256()
  parts: list[Part] = []
  with new.open("wb") as file:
    for number, line in enumerate(lines):
      if number % size == 0:
        parts.append((number // size, file.tell()))
      raw = (json.dumps(line) + "\n").encode()
      digest.update(raw)
      file.write(raw)
  plan = {"header": header, "sha256": digest.hexdigest(), "size": size}
  if read_json(folder / _PLAN) != json.loads(json.dumps(plan)):
    for path in folder.iterdir():
      if path != new:
        path.unlink()
    os.replace(new, folder / _LIST)
    write_json(folder / _PLAN, plan)
  else:
    new.unlink()
  return parts


def read_header(folder: pathlib.Path) -> dict[str, Any]:
  """The header of the list that lies there; empty where none does."""
  plan = read_json(folder / _PLAN)
  return plan["header"] if plan else {}


def read_part(folder: pathlib.Path, part: Part, size: int) -> list[Any]:
  """The lines of a part."""
  with (folder / _LIST).open("rb") as file:
    file.seek(part[1])
    return [json.loads(raw) for raw, _ in zip(file, range(size), strict=False)]


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes a small file, complete or not at all, whoever else writes the same."""
  with own_path(path) as own:
    own.write_text(json.dumps(value))


def read_json(path: pathlib.Path) -> Any:
  """What `write_json` wrote; None where there is nothing."""
  try:
    return json.loads(path.read_text())
  except FileNotFoundError:
    return None


@contextlib.contextmanager
def own_path(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """A path to write to that becomes `path` at the end: Beam may run a task twice at one time."""
  own = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
  try:
    yield own
    os.replace(own, path)
  finally:
    own.unlink(missing_ok=True)


def clear(folder: pathlib.Path) -> None:
  """Removes the folder of tasks that are all done."""
  shutil.rmtree(folder, ignore_errors=True)
