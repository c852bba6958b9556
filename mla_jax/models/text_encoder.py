"""Token ids to contextual token states."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mla_jax.errors import UserError
from mla_jax.models import layers


@dataclasses.dataclass(frozen=True)
class TextConfig:
  """Sizes of the text encoder."""

  vocab_size: int
  layers: int
  heads: int
  max_length: int
  token_dropout: float


class TextEncoder(nn.Module):
  """Token and position embeddings, then a transformer. Padding gives zeros.

  In training `token_dropout` hides that share of the tokens: they leave the mask, which is
  returned, so that nothing later sees them either.
  """

  common: layers.Common
  config: TextConfig

  @nn.compact
  def __call__(
      self, text: Int[Array, "B L"], mask: Bool[Array, "B L"], *, train: bool
  ) -> tuple[Float[Array, "B L D"], Bool[Array, "B L"]]:
    width, dtype, config = self.common.width, self.common.dtype, self.config
    length = text.shape[1]
    if length > config.max_length:
      raise UserError(
          f"model.text.max_length: is {config.max_length} and the batch has {length} tokens a text:"
          " raise it or lower data.text_length"
      )
    if train and config.token_dropout:
      mask = hide_tokens(self.make_rng("dropout"), mask, config.token_dropout)
    embed = nn.Embed(
        config.vocab_size, width, embedding_init=layers.table_init, dtype=dtype, name="embedding"
    )
    position = self.param("position", layers.table_init, (config.max_length, width), jnp.float32)
    x = embed(text) + position[:length].astype(dtype)
    x = layers.Dropout(self.common.dropout)(x, train=train)
    x = layers.transformer(self.common, config.layers, config.heads, x, mask, train=train)
    return jnp.where(mask[..., None], x, jnp.zeros((), x.dtype)), mask


def hide_tokens(rng: jax.Array, mask: Bool[Array, "B L"], rate: float) -> Bool[Array, "B L"]:
  """The mask without a random share `rate` of its tokens; a text never loses all of them."""
  kept = mask & jax.random.bernoulli(rng, 1.0 - rate, mask.shape)
  return jnp.where(jnp.any(kept, axis=1, keepdims=True), kept, mask)
