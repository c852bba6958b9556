"""What every metric of a split checks of its inputs before it gives a number."""

from collections.abc import Sized

from jaxtyping import Float, Num, Shaped
import numpy as np

from mla_jax.errors import UserError


def check_lengths(count: int, what: str, **others: Sized) -> None:
  """Raises a `UserError` unless there are `count` > 0 of `what` and as many of all others."""
  if not count:
    raise UserError(
        f"evaluation: the split has no {what}: choose another one with --config.data.eval_split"
    )
  for name, values in others.items():
    if len(values) != count:
      raise UserError(
          f"evaluation: {len(values)} {name} for {count} examples: give one a {what}"
      )


def finite(name: str, values: Num[np.ndarray, "n ..."]) -> Float[np.ndarray, "n ..."]:
  """`values` as float64; raises a `UserError` that names the first row with NaN or infinity."""
  found = np.asarray(values)
  if not (np.issubdtype(found.dtype, np.number) or found.dtype == bool):
    raise UserError(f"evaluation: {name} of type {found.dtype}: give numbers")
  found = found.astype(np.float64)
  wrong = np.flatnonzero(~np.isfinite(found).all(axis=tuple(range(1, found.ndim))))
  if len(wrong):
    raise UserError(
        f"evaluation: {name} of example {wrong[0]} is not finite ({len(wrong)} of {len(found)} "
        "are not): evaluate a checkpoint from before the model diverged"
    )
  return found


def clusters_of(clusters: Shaped[np.ndarray, " n"] | None, count: int) -> Shaped[np.ndarray, " n"]:
  """What the bootstrap draws together: the given videos, or each example by itself."""
  return np.arange(count) if clusters is None else np.asarray(clusters)
