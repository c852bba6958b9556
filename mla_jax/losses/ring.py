"""Losses over all pairs of the global batch of which no device ever holds more than a block.

Each device keeps its videos, the texts go round (exchange.py). On the way forward, every block of
logits is added to running statistics of its videos and texts and is forgotten (running.py). On the
way back the blocks are computed again; the finished statistics turn their logits into gradients,
and those of a text travel with it. So the backward pass needs the embeddings and a few numbers a
row, and a device's memory does not depend on how many there are. The dense losses hold a device's
videos against the whole batch, and all its texts.

`running.PairLoss` knows the loss, `Scoring` the logits and masks of a block, `exchange.meet` the
walk; here they come together, in two rounds and a `custom_vjp`.

For the sigmoid loss this is the "chunked" implementation of SigLIP (Zhai et al. 2023, section 3.3).
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from mla_jax.errors import UserError
from mla_jax.losses import exchange
from mla_jax.losses.exchange import Chunks, Sums
from mla_jax.losses.ring_order import ring_order
from mla_jax.losses.running import Finished, PairLoss, State
from mla_jax.losses.types import Block, LossOutput, Scalars, Scoring
from mla_jax.sharding import AXES

# Of a block's arrays over pairs: 4 MiB of float32, which leaves 128 x 128 rows of 8 x 8 whole.
BLOCK = 2**20

# Any: they stand in for arrays in the shape of what `shard_map` returns.
_SPLIT: Any = PartitionSpec(AXES)
_WHOLE: Any = PartitionSpec()
# Scalars, videos, texts, and what `PairLoss.finish` left of both.
_Residuals = tuple[Scalars, Block, Block, State, State]


def alignment(
    pair_loss: PairLoss,
    scoring: Scoring,
    scalars: Scalars,
    video: Block,
    text: Block,
    *,
    mesh: Mesh,
    block: int = BLOCK,
) -> LossOutput:
  """`pair_loss.dense` of all videos and texts, over the devices of a mesh.

  Args:
    pair_loss: the loss, as running statistics.
    scoring: gives the logits and masks of a block.
    scalars: what `scoring` has learnt beside the embeddings.
    video, text: the whole batch, rows split over the devices as by `sharding.batch_sharding`.
    mesh: of the devices that form the ring.
    block: most floats in one array over the pairs of a block, where a pair of rows with N and M
      segments counts N * M. A neighbour's texts are visited in chunks that keep below it.

  Returns:
    The loss, with gradients by scalars and embeddings alone (and none of a second order), and its
    metrics.

  Raises:
    UserError: rows that do not divide over the devices.
  """
  for name, rows in (("video", len(video.mask)), ("text", len(text.mask))):
    if rows % mesh.size:
      raise UserError(
          f"loss.impl='ring': {rows} {name} rows do not divide over {mesh.size} devices: change "
          "the rows"
      )
  pairs_of_segments = video.mask[0].size * text.mask[0].size
  chunks = exchange.choose_chunks(
      len(video.mask) // mesh.size, len(text.mask) // mesh.size, block // pairs_of_segments
  )
  order = ring_order(list(mesh.devices.flat))
  return _alignment(_Ring(pair_loss, scoring, mesh, order, chunks), scalars, video, text)


class _Ring(NamedTuple):
  """All of a ring that is not an array."""

  pair_loss: PairLoss
  scoring: Scoring
  mesh: Mesh
  order: tuple[int, ...]
  chunks: Chunks

  def on_devices(self, function: Callable[..., Any], in_specs: Any, out_specs: Any) -> Any:
    """Calls `function(ring, *arrays)` on every device with its part of the arrays."""
    here = functools.partial(function, self)
    return jax.shard_map(here, mesh=self.mesh, in_specs=in_specs, out_specs=out_specs)

  def meet(self, visit: exchange.Visit, join: Sums, rows: Any, columns: Any, nothing: Sums) -> Sums:
    return exchange.meet(
        visit, join, rows, columns, nothing, axes=AXES, order=self.order, chunks=self.chunks
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _alignment(ring: _Ring, scalars: Scalars, video: Block, text: Block) -> LossOutput:
  return _forward(ring, scalars, video, text)[0]


def _forward(
    ring: _Ring, scalars: Scalars, video: Block, text: Block
) -> tuple[LossOutput, _Residuals]:
  finished = ring.on_devices(
      _statistics,
      in_specs=(_WHOLE, _SPLIT, _SPLIT),
      out_specs=Finished(_WHOLE, rows=_SPLIT, columns=_SPLIT),
  )(scalars, video, text)
  return finished.output, (scalars, video, text, finished.rows, finished.columns)


def _backward(
    ring: _Ring, residuals: _Residuals, cotangent: LossOutput
) -> tuple[Scalars, Block, Block]:
  sums = ring.on_devices(
      _gradients,
      in_specs=(_WHOLE, _SPLIT, _SPLIT, _SPLIT, _SPLIT),
      out_specs=Sums(rows=_SPLIT, columns=_SPLIT, whole=_WHOLE),
  )(*residuals)
  # Of the output the loss alone has a gradient: the metrics are counts.
  by_video, by_text, by_scalars = jax.tree.map(lambda x: x * cotangent.loss, sums)
  zero: Any = None  # So `custom_vjp` has it.
  return by_scalars, Block(by_video, zero, zero, zero), Block(by_text, zero, zero, zero)


_alignment.defvjp(_forward, _backward)


def _statistics(ring: _Ring, scalars: Scalars, video: Block, text: Block) -> Finished:
  """The first round, on one device: every block of logits is seen and forgotten."""
  loss, scoring = ring.pair_loss, ring.scoring

  def visit(video: Block, text: Block) -> Sums:
    return Sums(*loss.see(scoring.logits(scalars, video, text), *scoring.masks(video, text)))

  logits = jax.eval_shape(scoring.logits, scalars, video, text)
  # To `shard_map` a constant is the same on all devices; what begins as `nothing` will not be.
  nothing = jax.lax.pcast(Sums(*loss.nothing(*logits.shape)), AXES, to="varying")
  join = Sums(loss.join_rows, loss.join_columns, lambda *_: ())
  sums = ring.meet(visit, join, video, text, nothing)
  return loss.finish(sums.rows, sums.columns, lambda x: jax.lax.psum(jnp.sum(x), AXES))


def _gradients(
    ring: _Ring, scalars: Scalars, video: Block, text: Block, of_video: State, of_text: State
) -> Sums:
  """The second round, on one device: the derivatives by videos, texts and scalars."""
  # Each device has its own until the sum at the end, where `vjp` would sum in every visit.
  scalars = jax.lax.pcast(scalars, AXES, to="varying")

  def visit(rows: tuple[Block, State], columns: tuple[Block, State]) -> Sums:
    (video, of_video), (text, of_text) = rows, columns

    def logits_of(scalars: Scalars, video_embedding: jax.Array, text_embedding: jax.Array) -> Any:
      return ring.scoring.logits(
          scalars,
          dataclasses.replace(video, embedding=video_embedding),
          dataclasses.replace(text, embedding=text_embedding),
      )

    logits, pull_back = jax.vjp(logits_of, scalars, video.embedding, text.embedding)
    masks = ring.scoring.masks(video, text)
    by_logits = ring.pair_loss.logit_gradient(of_video, of_text, logits, *masks)
    by_scalars, by_video, by_text = pull_back(by_logits)
    return Sums(by_video, by_text, by_scalars)

  nothing = jax.tree.map(jnp.zeros_like, Sums(video.embedding, text.embedding, scalars))
  add = functools.partial(jax.tree.map, jnp.add)
  sums = ring.meet(
      visit, Sums(add, add, add), (video, of_video), (text, of_text), nothing
  )
  return sums._replace(whole=jax.lax.psum(sums.whole, AXES))
