"""States of one side that look at the other, and the heads that turn them into answers."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mla_jax.models import layers, pooling, primitives


@dataclasses.dataclass(frozen=True)
class FusionConfig:
  """Kind and sizes of the fusion; `layers` matters for "cross" only, `hidden` for the others."""

  kind: str  # A key of FUSIONS.
  layers: int
  heads: int
  hidden: int  # Their width; 0: the model's, and in "late" no layer of a side's own.
  words: bool = False  # Whether the others also read the text's tokens before any layer.


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
  Arguments as of `CrossFusion`, and the mean of the text's tokens where they are read; without a
  video the MLP is over the text alone.
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
      words: Float[Array, "B W"] | None = None,
      *,
      train: bool,
  ) -> tuple[Float[Array, "B 1 H"], Bool[Array, "B 1"]]:
    common = self.common
    sides = [self._side("", states, mask, words)]
    if other is not None and other_mask is not None:
      sides.append(self._side("other_", other, other_mask))
    x = primitives.Dropout(common.dropout)(jnp.concatenate(sides, axis=-1), train=train)
    width = self.config.hidden or common.width
    x = nn.gelu(primitives.Dense(width, dtype=common.dtype, name="mix")(x))
    return x[:, None], jnp.any(mask, axis=1, keepdims=True)

  def _side(
      self,
      name: str,
      states: Float[Array, "B S D"],
      mask: Bool[Array, "B S"],
      words: Float[Array, "B W"] | None = None,
  ) -> Float[Array, "B H"]:
    """One side pooled; with `hidden`, through the first layer of the MLP."""
    common, hidden = self.common, self.config.hidden
    x = _pooled(f"{name}pool", self.config.heads, common, states, mask)
    if not hidden:
      return _with_words(nn.gelu(x), words)
    x = primitives.LayerNorm(common.dtype, name=f"{name}norm")(x)
    dense = primitives.Dense(hidden, dtype=common.dtype, name=f"{name}hidden")
    return nn.gelu(dense(_with_words(x, words)))


class GatedFusion(nn.Module):
  """Two sides that meet after each is pooled; the text says which units of the video count.

  One hidden layer: gelu(A t + 2 sigmoid(G t) * V v), over the normed means t and v of both sides. A
  unit of the video that counts for one kind of question need not count for the next, which a sum
  of both sides cannot say. Arguments as of `LateFusion`; without a video gelu(A t).
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
      words: Float[Array, "B W"] | None = None,
      *,
      train: bool,
  ) -> tuple[Float[Array, "B 1 H"], Bool[Array, "B 1"]]:
    text = _with_words(self._normed("", states, mask), words)
    x = self._dense("hidden", text)
    if other is not None and other_mask is not None:
      gate = 2.0 * nn.sigmoid(self._dense("gate", text))
      x += gate * self._dense("other_hidden", self._normed("other_", other, other_mask))
    return nn.gelu(x)[:, None], jnp.any(mask, axis=1, keepdims=True)

  def _normed(
      self, name: str, states: Float[Array, "B S D"], mask: Bool[Array, "B S"]
  ) -> Float[Array, "B D"]:
    x = _pooled(f"{name}pool", self.config.heads, self.common, states, mask)
    return primitives.LayerNorm(self.common.dtype, name=f"{name}norm")(x)

  def _dense(self, name: str, x: Float[Array, "B C"]) -> Float[Array, "B H"]:
    width = self.config.hidden or self.common.width
    return primitives.Dense(width, dtype=self.common.dtype, name=name)(x)


def _with_words(
    x: Float[Array, "B D"], words: Float[Array, "B W"] | None
) -> Float[Array, "B C"]:
  """A pooled text, and beside it the mean of its tokens in the module that is being called."""
  if words is None:
    return x
  words = primitives.Standardised(x.dtype, name="words")(words)
  return jnp.concatenate([x, words], axis=-1)


FUSIONS: dict[str, type[CrossFusion] | type[LateFusion] | type[GatedFusion]] = {
    "cross": CrossFusion,
    "late": LateFusion,
    "gated": GatedFusion,
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
    pooled = _pooled("pool", self.pool_heads, self.common, states, mask)
    pooled = primitives.Dropout(self.common.dropout)(pooled, train=train)
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


def _pooled(
    name: str,
    heads: int,
    common: layers.Common,
    states: Float[Array, "B S D"],
    mask: Bool[Array, "B S"],
) -> Float[Array, "B D"]:
  """All real places as one, by a pool of this name in the module that is being called."""
  return pooling.AttentionPool(heads, common.dtype, name=name)(states, mask[:, None])[:, 0]


class SpanHead(nn.Module):
  """Fused frame states to float32 logits of where a span starts and where it ends."""

  common: layers.Common

  @nn.compact
  def __call__(self, states: Float[Array, "B T D"], *, train: bool) -> Float[Array, "B T 2"]:
    states = primitives.Dropout(self.common.dropout)(states, train=train)
    logits = primitives.Dense(2, kernel_init=primitives.table_init, name="logits")
    return logits(states.astype(jnp.float32))
