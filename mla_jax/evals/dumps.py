"""Per-example dumps of an evaluation (`WORKDIR/eval/<dataset>_<split>.jsonl`): read and joined."""

from collections.abc import Mapping, Sequence
import json
import math
import pathlib
from typing import Any

from jaxtyping import Float
import numpy as np

from mla_jax.errors import UserError

Row = dict[str, Any]

# What an example is, whatever the run: equal in both dumps, or they are not of the same split.
_SAME = ("video", "text", "type", "answer")


def find_dumps(
    a: str | pathlib.Path, b: str | pathlib.Path, dataset: str | None = None
) -> tuple[pathlib.Path, pathlib.Path]:
  """The two files to compare.

  Args:
    a, b: two `.jsonl` files, or two workdirs.
    dataset: of workdirs, the `<dataset>_<split>` to take; None: the only one both have.

  Raises:
    UserError: nothing there, a file and a folder, or no or several evaluations in common.
  """
  paths = pathlib.Path(a), pathlib.Path(b)
  for path in paths:
    if not path.exists():
      raise UserError(f"{path}: not there: give a workdir that was evaluated, or a .jsonl dump")
  if all(path.is_file() for path in paths):
    return paths
  if any(path.is_file() for path in paths):
    raise UserError(f"{a} and {b}: one is a file, one a folder: give two dumps or two workdirs")
  names = [{dump.stem for dump in (path / "eval").glob("*.jsonl")} for path in paths]
  for path, found in zip(paths, names, strict=True):
    if not found:
      raise UserError(f"{path}: holds no evaluation (eval/*.jsonl): run it with --mode=eval")
  name = _choose(sorted(names[0] & names[1]), dataset, f"{a} and {b}")
  return paths[0] / "eval" / f"{name}.jsonl", paths[1] / "eval" / f"{name}.jsonl"


def read_dump(path: str | pathlib.Path) -> list[Row]:
  """The rows of a dump, in its order.

  Raises:
    UserError: it cannot be read, is empty, or a line is no JSON object with an `id` of its own.
  """
  try:
    with pathlib.Path(path).open(encoding="utf-8") as file:
      lines = list(file)  # `splitlines` would also split at what JSON may hold, such as U+2028.
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(f"{path}: cannot be read ({error}): evaluate the run again") from None
  rows: list[Row] = []
  ids: set[Any] = set()
  for number, line in enumerate(lines, start=1):
    try:
      row = json.loads(line)
    except ValueError as error:
      raise UserError(f"{path}:{number}: no JSON ({error}): evaluate the run again") from None
    if not isinstance(row, dict) or not isinstance(row.get("id"), str | int):
      raise UserError(f"{path}:{number}: no object with an id: give the dump of an evaluation")
    if row["id"] in ids:
      raise UserError(f"{path}:{number}: id {row['id']!r} is there twice: evaluate the run again")
    ids.add(row["id"])
    rows.append(row)
  if not rows:
    raise UserError(f"{path}: no example in it: evaluate the run again")
  return rows


def row_metrics(columns: Mapping[str, Float[np.ndarray, " n"]]) -> list[dict[str, float]]:
  """The "metrics" of n rows: what each example adds to the evaluation's means, by their names.

  Args:
    columns: metric -> `[n]`, in its own unit; NaN where an example is none of the metric's, which
      is then not in its row.
  """
  rows: list[dict[str, float]] = [{} for _ in next(iter(columns.values()))]
  for name, values in columns.items():
    for row, value in zip(rows, values.tolist(), strict=True):
      if not math.isnan(value):
        row[name] = value
  return rows


def join(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[Row, Row]]:
  """The rows of the same examples, in the order of `a`.

  Raises:
    UserError: the dumps cover different ids, or an id stands for different examples.
  """
  by_id = {row["id"]: row for row in b}
  ids = {row["id"] for row in a}
  problems = [
      f"{len(found)} only in {name} ({', '.join(map(repr, found[:3]))}{', ...' * (len(found) > 3)})"
      for name, found in (
          ("A", [row["id"] for row in a if row["id"] not in by_id]),
          ("B", [row["id"] for row in b if row["id"] not in ids]),
      )
      if found
  ]
  if problems:
    raise UserError(
        f"the runs cover different examples: {'; '.join(problems)}: evaluate both on the same split"
    )
  for row in a:
    for key in _SAME:
      one, other = row.get(key), by_id[row["id"]].get(key)
      if one != other:
        raise UserError(
            f"example {row['id']!r} has {key} {one!r} in A and {other!r} in B: evaluate both on "
            "the same prepared dataset"
        )
  return [(row, by_id[row["id"]]) for row in a]


def _choose(shared: list[str], dataset: str | None, where: str) -> str:
  if dataset is not None:
    if dataset not in shared:
      raise UserError(
          f"--dataset={dataset}: not evaluated in both: {where} share {', '.join(shared) or 'none'}"
      )
    return dataset
  if not shared:
    raise UserError(f"{where}: no evaluation in common: run both with --mode=eval on one split")
  if len(shared) > 1:
    raise UserError(f"{where} share {', '.join(shared)}: choose one with --dataset=NAME")
  return shared[0]
