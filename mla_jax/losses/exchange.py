"""Every row of the batch meets every column, block by block: the walk all ring losses share.

Each device keeps its rows. The columns go round: in every turn a device visits the pairs of its
rows and of the columns it has been passed, and passes the columns on to its neighbour. After one
turn for each device every column has met every row.

    turn 0        turn 1        turn 2        turn 3
    r0 c0         r0 c3         r0 c2         r0 c1         device 0
    r1 c1         r1 c0         r1 c3         r1 c2         device 1
    r2 c2         r2 c1         r2 c0         r2 c3         device 2
    r3 c3         r3 c2         r3 c1         r3 c0         device 3

What the visits sum up for a column follows it one turn behind: while a device works on columns, it
is still receiving what its neighbour has summed up for them, and joins its own to it at the end of
the turn. So nothing that travels has to wait for what is computed in the same turn, nor the other
way round.

A device needs room for its own rows, for a neighbour's columns and for one block of pairs, whatever
the number of devices. It is the exchange of ring attention (Liu et al. 2023, arXiv 2310.01889).
"""

from collections.abc import Callable, Sequence
import functools
import math
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")


class Sums(NamedTuple):
  """What visits sum up: something for each row, for each column, and for all pairs together.

  Also used for three things that belong to these, such as the functions that join two sums.
  """

  rows: Any
  columns: Any
  whole: Any = ()


# The sums of the pairs of some rows and some columns.
Visit = Callable[[Any, Any], Sums]


class Chunks(NamedTuple):
  """How many rows and columns one visit sees at most."""

  rows: int
  columns: int


def choose_chunks(rows: int, columns: int, most: int) -> Chunks:
  """Chunks of at most `most` pairs (but at least 1), as square as the block of all pairs allows.

  Of what is over, all chunks take an even share: 200 rows with room for 128 become 2 x 100.
  """
  side = max(1, math.isqrt(most))
  fewer_rows = min(rows, side)
  fewer_columns = min(columns, max(1, most // fewer_rows))
  fewer_rows = min(rows, max(1, most // fewer_columns))
  return Chunks(_even(rows, fewer_rows), _even(columns, fewer_columns))


def meet(
    visit: Visit,
    join: Sums,
    rows: Any,
    columns: Any,
    nothing: Sums,
    *,
    axes: tuple[str, ...],
    order: Sequence[int],
    chunks: Chunks,
) -> Sums:
  """The sums over visits of every row with every column; runs inside `shard_map`.

  Args:
    visit: called with a chunk of rows and one of columns.
    join: for each of the sums a function of two of them, elementwise and associative.
    rows: pytree of this device's rows. Its first array is [P, ...]; the others may also hold a
      fixed number of entries a row, [P * S, ...].
    columns: pytree of this device's columns, so too [Q, ...].
    nothing: the sums over no visit, of rows [P * S, ...] and of columns [Q * S, ...].
    axes: mesh axes over which rows and columns are split; their devices form the ring.
    order: the devices, by their index along these axes, in the order of the ring.
    chunks: of the visits. What does not divide is filled up with zeros, so that masks are False.

  Returns:
    The sums of this device's rows and of its columns, and this device's share of `whole`.
  """
  row_count, column_count = _length(rows), _length(columns)
  split_rows = functools.partial(_split, count=row_count, size=chunks.rows)
  split_columns = functools.partial(_split, count=column_count, size=chunks.columns)
  rows, columns = split_rows(rows), split_columns(columns)
  nothing = Sums(split_rows(nothing.rows), split_columns(nothing.columns), nothing.whole)

  pass_on = functools.partial(_pass_on, axes=axes, order=order)

  def turn(carry: tuple[Any, Sums], _: None) -> tuple[tuple[Any, Sums], None]:
    columns, sums = carry
    arriving, before = pass_on((columns, sums.columns))
    sums = _visit_block(visit, join, rows, columns, sums._replace(columns=nothing.columns))
    return (arriving, sums._replace(columns=join.columns(before, sums.columns))), None

  (_, sums), _ = jax.lax.scan(turn, (columns, nothing), length=len(order))
  return Sums(
      _merge(sums.rows, row_count, chunks.rows),
      _merge(pass_on(sums.columns), column_count, chunks.columns),
      sums.whole,
  )


def _visit_block(visit: Visit, join: Sums, rows: Any, columns: Any, sums: Sums) -> Sums:
  """Every chunk of rows [K, P, ...] with every chunk of columns [L, Q, ...], one after another."""

  def with_all_columns(carry: tuple[Any, Any], chunk: tuple[Any, Any]) -> Any:
    column_sums, whole = carry
    rows, row_sums = chunk

    def with_one(carry: tuple[Any, Any], chunk: tuple[Any, Any]) -> Any:
      row_sums, whole = carry
      columns, column_sums = chunk
      seen = visit(rows, columns)
      stay = join.rows(row_sums, seen.rows), join.whole(whole, seen.whole)
      return stay, join.columns(column_sums, seen.columns)

    (row_sums, whole), column_sums = jax.lax.scan(
        with_one, (row_sums, whole), (columns, column_sums)
    )
    return (column_sums, whole), row_sums

  (column_sums, whole), row_sums = jax.lax.scan(
      with_all_columns, (sums.columns, sums.whole), (rows, sums.rows)
  )
  return Sums(row_sums, column_sums, whole)


def _pass_on(tree: Tree, axes: tuple[str, ...], order: Sequence[int]) -> Tree:
  """To the next device of the ring, from the one before."""
  following = [*order[1:], order[0]]
  return jax.lax.ppermute(tree, axes, list(zip(order, following, strict=True)))


def _split(tree: Tree, count: int, size: int) -> Tree:
  """[count * S, ...] to [K, size * S, ...], the last chunk filled up with zeros."""

  def split(x: jax.Array) -> jax.Array:
    a_row = len(x) // count
    x = jnp.pad(x, [(0, -count % size * a_row)] + [(0, 0)] * (x.ndim - 1))
    return x.reshape(-1, size * a_row, *x.shape[1:])

  return jax.tree.map(split, tree)


def _merge(tree: Tree, count: int, size: int) -> Tree:
  """`_split` undone."""

  def merge(x: jax.Array) -> jax.Array:
    a_row = x.shape[1] // size
    return x.reshape(-1, *x.shape[2:])[: count * a_row]

  return jax.tree.map(merge, tree)


def _length(tree: Any) -> int:
  return len(jax.tree.leaves(tree)[0])


def _even(count: int, most: int) -> int:
  return -(-count // -(-count // most))
