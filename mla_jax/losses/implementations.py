"""Two ways over all pairs of a batch, to the same loss: at once, or block by block in a ring."""

from jax.sharding import Mesh

from mla_jax.errors import UserError, check_choice
from mla_jax.losses import ring
from mla_jax.losses.running import PairLoss
from mla_jax.losses.types import Block, LossOutput, Scalars, Scoring

IMPLEMENTATIONS = ("dense", "ring")


def over_batch(
    pair_loss: PairLoss,
    scoring: Scoring,
    scalars: Scalars,
    video: Block,
    text: Block,
    *,
    impl: str,
    mesh: Mesh | None,
    block: int,
) -> LossOutput:
  """The loss of every video row of the global batch against every text row.

  Args:
    pair_loss: what becomes of logits: `running.InfoNCE` or `running.Sigmoid`.
    scoring: where the logits and masks come from.
    scalars: what `scoring` has learnt beside the embeddings.
    video, text: the whole batch (`pairs.whole_batch`).
    impl: "dense": all logits at once on global arrays, XLA gathers what a device misses; "ring":
      block by block, see ring.py. Both give the same values and gradients.
    mesh: whose devices form the ring; "dense" needs none.
    block: see `ring.alignment`; unused by "dense".

  Raises:
    UserError: an unknown `impl`, a ring without a mesh or one the batch does not divide over.
  """
  check_choice("loss.impl", impl, IMPLEMENTATIONS)
  if impl == "dense":
    return pair_loss.dense(scoring.logits(scalars, video, text), *scoring.masks(video, text))
  if mesh is None:
    raise UserError("loss.impl='ring': needs the devices that form the ring: pass mesh=")
  return ring.alignment(pair_loss, scoring, scalars, video, text, mesh=mesh, block=block)
