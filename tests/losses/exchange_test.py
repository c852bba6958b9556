"""The walk of the ring: whatever is summed, every row meets every column exactly once."""

import functools

from hypothesis import given, settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict
import numpy as np
import pytest

from mla_jax.losses import exchange
from mla_jax.losses.exchange import Chunks, Sums
from mla_jax.sharding import AXES, make_mesh


@given(rows=st.integers(1, 300), columns=st.integers(1, 300), most=st.integers(0, 2000))
def test_chunks_hold_no_more_than_asked_and_share_evenly(
    rows: int, columns: int, most: int
) -> None:
  chunks = exchange.choose_chunks(rows, columns, most)
  assert 1 <= chunks.rows <= rows
  assert 1 <= chunks.columns <= columns
  assert chunks.rows * chunks.columns <= max(most, 1)
  for count, size in ((rows, chunks.rows), (columns, chunks.columns)):
    number = -(-count // size)
    assert number * size - count < number  # Filled up by less than one a chunk.


@pytest.mark.parametrize(
    ("rows", "columns", "most", "expected"),
    [
        (128, 128, 128 * 128, (128, 128)),  # All at once.
        (128, 256, 128 * 128, (128, 128)),
        (200, 200, 128 * 128, (100, 100)),
        (16, 4096, 128 * 128, (16, 1024)),  # Few rows leave room for many columns,
        (4096, 16, 128 * 128, (1024, 16)),  # and the other way round.
        (5, 5, 0, (1, 1)),
    ],
)
def test_chunks_are_as_square_as_the_block(
    rows: int, columns: int, most: int, expected: tuple[int, int]
) -> None:
  assert exchange.choose_chunks(rows, columns, most) == expected


@functools.cache
def walk(data: int, fsdp: int, rows: int, columns: int, chunks: Chunks):
  """Sums over all pairs of weights that no other set of pairs has."""
  mesh = make_mesh(ConfigDict({"data": data, "fsdp": fsdp}), jax.devices()[: data * fsdp])
  split = PartitionSpec(AXES)
  order = np.random.default_rng(0).permutation(data * fsdp).tolist()  # Any ring will do.

  def visit(of_rows, of_columns) -> Sums:
    (row, row_extra), column = of_rows, of_columns
    assert len(row) <= chunks.rows
    assert len(column) <= chunks.columns
    met = row[:, None] * column
    return Sums(
        {"met": jnp.sum(met, axis=1), "twice": jnp.repeat(jnp.sum(met, axis=1), 2) * row_extra},
        jnp.stack([jnp.sum(met, axis=0), jnp.max(met, axis=0)], axis=1),
        jnp.sum(met**2),
    )

  def join_columns(one, other):
    return jnp.stack([one[..., 0] + other[..., 0], jnp.maximum(one[..., 1], other[..., 1])], -1)

  @jax.jit
  @functools.partial(
      jax.shard_map,
      mesh=mesh,
      in_specs=(split, split, split),
      out_specs=(split, split, PartitionSpec()),
  )
  def all_pairs(row, row_extra, column):
    add = functools.partial(jax.tree.map, jnp.add)
    nothing = Sums(
        {"met": jnp.zeros(rows), "twice": jnp.zeros(2 * rows)}, jnp.zeros((columns, 2)), 0.0
    )
    nothing = jax.lax.pcast(jax.tree.map(jnp.float32, nothing), AXES, to="varying")
    sums = exchange.meet(
        visit, Sums(add, join_columns, add), (row, row_extra), column, nothing,
        axes=AXES, order=order, chunks=chunks,
    )
    return sums.rows, sums.columns, jax.lax.psum(sums.whole, AXES)

  return all_pairs


@pytest.mark.parametrize("mesh", [(1, 1), (3, 1), (2, 4), (8, 1)])
@pytest.mark.parametrize(
    ("rows", "columns", "chunks"),
    [(2, 3, Chunks(2, 3)), (5, 7, Chunks(2, 3)), (3, 4, Chunks(1, 1)), (1, 5, Chunks(1, 4))],
)
@settings(max_examples=3)
@given(seed=st.integers(0, 1000))
def test_every_row_meets_every_column_once(
    mesh: tuple[int, int], rows: int, columns: int, chunks: Chunks, seed: int
) -> None:
  rng = np.random.default_rng(seed)
  size = mesh[0] * mesh[1]
  row = rng.uniform(0.5, 2.0, rows * size).astype(np.float32)
  column = rng.uniform(0.5, 2.0, columns * size).astype(np.float32)
  extra = rng.uniform(0.5, 2.0, 2 * rows * size).astype(np.float32)
  by_row, by_column, whole = walk(*mesh, rows, columns, chunks)(row, extra, column)
  met = row[:, None] * column
  close = functools.partial(np.testing.assert_allclose, rtol=1e-5)
  close(by_row["met"], met.sum(axis=1))
  close(by_row["twice"], np.repeat(met.sum(axis=1), 2) * extra)
  close(by_column, np.stack([met.sum(axis=0), met.max(axis=0)], axis=1))
  close(whole, (met**2).sum())
