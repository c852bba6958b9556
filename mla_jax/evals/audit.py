"""The set that was evaluated must be the split: every example once, no padding, none lost."""

from jaxtyping import Int
import numpy as np

from mla_jax.errors import UserError

_SHOWN = 5


def check_ids(seen: Int[np.ndarray, " n"], expected_count: int) -> None:
  """Checks that `seen` holds each of 0 .. expected_count - 1 exactly once, in any order.

  Args:
    seen: `[n]` example ids of the rows that were scored, padding rows already left out.
    expected_count: number of examples of the split.

  Raises:
    UserError: an empty split, or missing, repeated or unknown ids (the first few named).
  """
  if expected_count == 0:
    raise UserError(
        "evaluation: the split has no example: choose another one with --config.data.eval_split"
    )
  seen = np.asarray(seen)
  ids, times = np.unique(seen, return_counts=True)
  inside = (ids >= 0) & (ids < expected_count)
  missing = np.setdiff1d(np.arange(expected_count), ids, assume_unique=True)
  problems = [
      f"{len(found)} {what} ({_first(found)})"
      for what, found in (
          ("missing", missing),
          ("scored more than once", ids[inside & (times > 1)]),
          ("unknown", ids[~inside]),
      )
      if len(found)
  ]
  if problems:
    raise UserError(
        f"evaluation: scored {len(seen)} examples of a split of {expected_count}: "
        f"{', '.join(problems)}: every id must be scored exactly once, so no number is reported; "
        "check the prepared data with mla_jax.verify"
    )


def _first(ids: Int[np.ndarray, " n"]) -> str:
  shown = ", ".join(str(i) for i in ids[:_SHOWN])
  return f"ids {shown}, ..." if len(ids) > _SHOWN else f"ids {shown}"
