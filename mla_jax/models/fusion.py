"""States of one side that look at the other, and the heads that turn them into answers."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mla_jax.models import layers, pooling, primitives


@dataclasses.dataclass(frozen=True)
class FusionConfig:
  """Kind and sizes of the fusion; `layers` matters for "cross" only."""

  kind: str  # "cross": `CrossFusion`; "late": `LateFusion`.
  layers: int
  heads: int


class CrossFusion(nn.Module):
  """Transformer over one side's states that attends to the other's in every layer.

  Answers come from text states that look at the video; without a video the layers are
  self-attention and MLP alone: the text-only twin. Spans come from frame states that look at the
  text.
  """

  common: layers.Common
  config: FusionConfig

  @nn.compact
  def __call__(
      self,
      states: Float[Array, "B L D"],
      mask: Bool[Array, "B L"],
      other: Float[Array, "B T D"] | None,
      other_mask: Bool[Array, "B T"] | None,
      *,
      train: bool,
  ) -> tuple[Float[Array, "B L D"], Bool[Array, "B L"]]:
    fused = layers.transformer(
        self.common,
        self.config.layers,
        self.config.heads,
        states,
        mask,
        other,
        other_mask,
        train=train,
    )
    return fused, mask


class LateFusion(nn.Module):
  """Two sides that meet only after each is pooled: one state, by an MLP over both.

  It cannot tell which frame a question is about, and has so much less to overfit: for small data.
  Arguments as of `CrossFusion`; without a video the MLP is over the text alone.
  """

  common: layers.Common
  config: FusionConfig

  @nn.compact
  def __call__(
      self,
      states: Float[Array, "B L D"],
      mask: Bool[Array, "B L"],
      other: Float[Array, "B T D"] | None,
      other_mask: Bool[Array, "B T"] | None,
      *,
      train: bool,
  ) -> tuple[Float[Array, "B 1 D"], Bool[Array, "B 1"]]:
    common = self.common
    pooled = [self._pool("pool", states, mask)]
    if other is not None and other_mask is not None:
      pooled.append(self._pool("other_pool", other, other_mask))
    x = primitives.Dropout(common.dropout)(jnp.concatenate(pooled, axis=-1), train=train)
    x = nn.gelu(primitives.Dense(common.width, dtype=common.dtype, name="mix")(x))
    return x[:, None], jnp.any(mask, axis=1, keepdims=True)

  def _pool(
      self, name: str, states: Float[Array, "B S D"], mask: Bool[Array, "B S"]
  ) -> Float[Array, "B D"]:
    pool = pooling.AttentionPool(self.config.heads, self.common.dtype, name=name)
    return nn.gelu(pool(states, mask[:, None])[:, 0])


FUSIONS: dict[str, type[CrossFusion] | type[LateFusion]] = {
    "cross": CrossFusion,
    "late": LateFusion,
}


class AnswerHead(nn.Module):
  """Pooled fused states to float32 logits over the answer vocabulary."""

  common: layers.Common
  num_answers: int
  pool_heads: int

  @nn.compact
  def __call__(
      self, states: Float[Array, "B L D"], mask: Bool[Array, "B L"], *, train: bool
  ) -> Float[Array, "B K"]:
    pool = pooling.AttentionPool(self.pool_heads, self.common.dtype, name="pool")
    pooled = primitives.Dropout(self.common.dropout)(pool(states, mask[:, None])[:, 0], train=train)
    logits = primitives.Dense(self.num_answers, kernel_init=primitives.table_init, name="logits")
    return logits(pooled.astype(jnp.float32))


class OrdinalHead(nn.Module):
  """Pooled fused states to float32 logits of P(label > k), k = 0 .. K - 1, that fall with k.

  One score for all thresholds (CORAL: Cao, Mirjalili, Raschka 2020), and thresholds that ascend by
  construction.
  """

  common: layers.Common
  thresholds: int
  pool_heads: int

  @nn.compact
  def __call__(
      self, states: Float[Array, "B L D"], mask: Bool[Array, "B L"], *, train: bool
  ) -> Float[Array, "B K"]:
    score = AnswerHead(self.common, 1, self.pool_heads, name="score")(states, mask, train=train)
    first = self.param("first", nn.initializers.constant(-0.5 * self.thresholds), (1,))
    # The inverse of softplus(1): thresholds start at steps of one.
    init = nn.initializers.constant(0.5413)
    steps = jax.nn.softplus(self.param("steps", init, (self.thresholds - 1,)))
    return score - jnp.concatenate([first, first + jnp.cumsum(steps)])


class SpanHead(nn.Module):
  """Fused frame states to float32 logits of where a span starts and where it ends."""

  common: layers.Common

  @nn.compact
  def __call__(self, states: Float[Array, "B T D"], *, train: bool) -> Float[Array, "B T 2"]:
    states = primitives.Dropout(self.common.dropout)(states, train=train)
    logits = primitives.Dense(2, kernel_init=primitives.table_init, name="logits")
    return logits(states.astype(jnp.float32))
