"""What every alignment loss takes and gives, and what it works on in between."""

from collections.abc import Callable
import dataclasses

import flax.struct
import jax
from jaxtyping import Array, Bool, Float, Int

# A number summed over what counts, and how much counted: pairs add up over batches and devices.
Metrics = dict[str, tuple[jax.Array, jax.Array]]
# The learnt numbers of a loss by name: "log_scale", and "bias" where there is one.
Scalars = dict[str, jax.Array]


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


@flax.struct.dataclass
class Block:
  """Rows of one side, the whole batch or a part of it, that know their place in the batch.

  Attributes:
    embedding: `[P, E]` or `[P, N, E]` float32, zeros where nothing is real.
    mask: `[P]` or `[P, N]`.
    key: `[P]`.
    row: `[P]`; of a video its place in the global batch, of a text the place of its video.
    overlap: `[P, N, M]`; of timed texts alone, their overlap with the segments of their own video.
  """

  embedding: Float[Array, "*rows E"]
  mask: Bool[Array, "*rows"]
  key: Int[Array, " P"]
  row: Int[Array, " P"]
  overlap: Float[Array, "P N M"] | None = None


@dataclasses.dataclass(frozen=True)
class Scoring:
  """How the pairs of a block of videos and a block of texts are scored, whatever their size.

  Attributes:
    logits: `(scalars, videos, texts) -> [P, Q]`, differentiable by scalars and embeddings.
    masks: `(videos, texts) -> (positive, keep)`, both `[P, Q]`; a pair that is not kept counts
      for nothing, a kept one that is not positive is a negative.
  """

  logits: Callable[[Scalars, Block, Block], Float[Array, "P Q"]]
  masks: Callable[[Block, Block], tuple[Bool[Array, "P Q"], Bool[Array, "P Q"]]]
