"""From states to embeddings: attention pooling of groups of places, and the projection heads."""

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mla_jax.models import primitives


def segment_members(
    segment: Int[Array, "B S"], mask: Bool[Array, "B S"], segments: int
) -> Bool[Array, "B N S"]:
  """Which real places belong to segments 1..`segments`."""
  numbers = jnp.arange(1, segments + 1, dtype=segment.dtype)
  return (segment[:, None, :] == numbers[None, :, None]) & mask[:, None, :]


class AttentionPool(nn.Module):
  """Weighted means of the states of each group, a softmax inside the group giving the weights.

  Each of `heads` slices of the width has its own weights. The scores start at zero, so a fresh pool
  is the plain mean. A group without members gives zeros.
  """

  heads: int
  dtype: primitives.Dtype = jnp.float32

  @nn.compact
  def __call__(
      self, states: Float[Array, "B S D"], members: Bool[Array, "B G S"]
  ) -> Float[Array, "B G D"]:
    batch, places, width = states.shape
    zeros = nn.initializers.zeros
    # No bias: a constant added to every score changes nothing.
    score = primitives.Dense(
        self.heads, use_bias=False, dtype=self.dtype, kernel_init=zeros, name="score"
    )
    scores = jnp.swapaxes(score(states), 1, 2)[:, None]
    weights = primitives.masked_softmax(scores, members[:, :, None]).astype(self.dtype)
    values = states.reshape(batch, places, self.heads, width // self.heads)
    pooled = jnp.einsum("bghs,bshk->bghk", weights, values)
    return pooled.reshape(batch, members.shape[1], width)


class AlignmentHead(nn.Module):
  """Pools each group of states and projects it onto the unit sphere, in float32.

  With `hidden` an MLP of that width stands between, its hidden layer dropped out by `dropout`.
  """

  embed_dim: int
  heads: int
  dtype: primitives.Dtype = jnp.float32
  kernel_init: primitives.Initializer = primitives.kernel_init
  hidden: int = 0
  dropout: float = 0.0

  @nn.compact
  def __call__(
      self, states: Float[Array, "B S D"], members: Bool[Array, "B G S"], *, train: bool
  ) -> Float[Array, "B G E"]:
    pooled = AttentionPool(self.heads, self.dtype, name="pool")(states, members)
    if self.hidden:
      pooled = nn.gelu(primitives.Dense(self.hidden, dtype=self.dtype, name="hidden")(pooled))
      pooled = primitives.Dropout(self.dropout)(pooled, train=train)
    project = primitives.Dense(
        self.embed_dim, use_bias=False, kernel_init=self.kernel_init, name="projection"
    )
    return unit(project(pooled.astype(jnp.float32)), jnp.any(members, axis=-1))


def mean(states: Float[Array, "B S D"], mask: Bool[Array, "B S"]) -> Float[Array, "B D"]:
  """The plain mean of each row's real places, in the states' type; zeros where there is none."""
  total = jnp.sum(jnp.where(mask[..., None], states, 0), axis=1)
  return total / jnp.maximum(jnp.sum(mask, axis=1, keepdims=True), 1).astype(states.dtype)


def unit(x: Float[Array, "*S E"], mask: Bool[Array, "*S"]) -> Float[Array, "*S E"]:
  """Rows scaled to length one; masked rows become zeros and pass no gradient."""
  x = jnp.where(mask[..., None], x, 0.0)
  return x * jax.lax.rsqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True) + 1e-12)
