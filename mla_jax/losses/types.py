"""What every alignment loss takes and gives."""

import flax.struct
import jax
from jaxtyping import Array, Bool, Float, Int

# A number summed over what counts, and how much counted: pairs add up over batches and devices.
Metrics = dict[str, tuple[jax.Array, jax.Array]]


@flax.struct.dataclass
class Side:
  """One side of an alignment, video or text; True in `mask` = real.

  Attributes:
    embedding: unit vectors, `[B, E]` (global) or `[B, N, E]` (segments). Any float type.
    mask: `[B]` (global) or `[B, N]` (segments).
    key: `[B]`; rows with equal keys speak of the same video.
  """

  embedding: Float[Array, "*rows E"]
  mask: Bool[Array, "*rows"]
  key: Int[Array, " B"]


@flax.struct.dataclass
class LossOutput:
  """A float32 scalar, 0 when nothing in the batch counts, and its (sum, weight) metrics."""

  loss: Float[Array, ""]
  metrics: Metrics
