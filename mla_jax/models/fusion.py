"""Text states that look at the video, pooled into answer logits."""

import dataclasses

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mla_jax.models import layers, pooling


@dataclasses.dataclass(frozen=True)
class FusionConfig:
  """Sizes of the fusion transformer."""

  layers: int
  heads: int


class Fusion(nn.Module):
  """Transformer over the text states that attends to the frame states in every layer.

  Without a video its layers are self-attention and MLP alone: the text-only twin.
  """

  common: layers.Common
  config: FusionConfig

  @nn.compact
  def __call__(
      self,
      text: Float[Array, "B L D"],
      text_mask: Bool[Array, "B L"],
      video: Float[Array, "B T D"] | None,
      video_mask: Bool[Array, "B T"] | None,
      *,
      train: bool,
  ) -> Float[Array, "B L D"]:
    return layers.transformer(
        self.common,
        self.config.layers,
        self.config.heads,
        text,
        text_mask,
        video,
        video_mask,
        train=train,
    )


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
    pooled = layers.Dropout(self.common.dropout)(pool(states, mask[:, None])[:, 0], train=train)
    logits = layers.Dense(self.num_answers, kernel_init=layers.table_init, name="logits")
    return logits(pooled.astype(jnp.float32))
