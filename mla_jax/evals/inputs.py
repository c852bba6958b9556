"""What every metric of a split checks of its inputs before it gives a number."""

from collections.abc import Callable, Iterable, Sized
from typing import Any, Literal

from jaxtyping import Bool, Float, Shaped
import numpy as np

from mla_jax.errors import UserError

Kind = Literal["numbers", "integers", "truth values", "names"]

_FITS: dict[Kind, Callable[[np.ndarray], bool]] = {
    "numbers": lambda found: found.dtype.kind in "biuf" or found.dtype.name == "bfloat16",
    "integers": lambda found: found.dtype.kind in "iu",
    "truth values": lambda found: found.dtype == bool,
    "names": lambda found: found.dtype.kind in "biufU",
}


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


def array(name: str, values: Any, kind: Kind, **axes: int | None) -> Shaped[np.ndarray, "..."]:
  """`values` as an array of a kind and a shape.

  Args:
    name: what they are, in the plural.
    values: an array, or lists.
    kind: "numbers" are real; "names" texts or numbers.
    axes: what each axis counts, in the plural -> its length; None = any. No axis: any shape.

  Raises:
    UserError: lists of different lengths, another kind, another shape.
  """
  wanted = ", ".join(what if size is None else f"{size} {what}" for what, size in axes.items())
  wanted = f"give {kind} [{wanted}]" if axes else f"give {kind}"
  try:
    found = np.asarray(values)
  except ValueError:
    raise UserError(f"evaluation: {name} are lists of different lengths: {wanted}") from None
  if kind == "names" and found.dtype == object and all(isinstance(v, str) for v in found.flat):
    found = found.astype(str)
  given = f"{found.dtype} {found.shape}" if axes else str(found.dtype)
  if not _FITS[kind](found) or (axes and found.ndim != len(axes)):
    raise UserError(f"evaluation: {name} of type {given}: {wanted}")
  sizes = list(axes.values())
  if any(size not in (None, found.shape[axis]) for axis, size in enumerate(sizes)):
    if found.ndim == 1:
      raise UserError(f"evaluation: {len(found)} {name} for {sizes[0]} examples: give one each")
    raise UserError(f"evaluation: {name} of type {given}: {wanted}")
  return found


def finite(name: str, values: Any, **axes: int | None) -> Float[np.ndarray, "n ..."]:
  """`array` of numbers as float64; also a `UserError` that names the first row with NaN or inf."""
  found = array(name, values, "numbers", **axes).astype(np.float64)
  wrong = np.flatnonzero(~np.isfinite(found).all(axis=tuple(range(1, found.ndim))))
  if len(wrong):
    raise UserError(
        f"evaluation: {name} of example {wrong[0]} is not finite ({len(wrong)} of {found.shape[0]} "
        "are not): evaluate a checkpoint from before the model diverged"
    )
  return found


def check_lists(name: str, values: Iterable[Any], what: str) -> None:
  """Raises a `UserError` where one of the `values` is no list: a text is one of letters."""
  for place, value in enumerate(values):
    if not isinstance(value, list | tuple | set | frozenset | np.ndarray):
      raise UserError(
          f"evaluation: {name} of question {place} are {value!r}, not a list: give lists of {what}"
      )


def mask_of(mask: Any, **axes: int) -> Bool[np.ndarray, "..."]:
  """Which of the places are real: the given truth values of that shape, or all of them."""
  if mask is None:
    return np.ones(tuple(axes.values()), bool)
  return array("mask", mask, "truth values", **axes)


def clusters_of(clusters: Shaped[np.ndarray, " n"] | None, count: int) -> Shaped[np.ndarray, " n"]:
  """What the bootstrap draws together: the given videos, or each example by itself."""
  if clusters is None:
    return np.arange(count)
  return array("clusters", clusters, "names", examples=count)
