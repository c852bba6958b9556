"""Token ids to contextual token states."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from mla_jax.errors import UserError, check_choice, check_numbers
from mla_jax.models import layers, primitives

KINDS = ("scratch", "bert")
_NUMBERS = {
    "at least 1": ("vocab_size", "max_length"),
    "0 or more": ("layers", "width"),
    "from 0 to below 1": ("token_dropout",),
}


@dataclasses.dataclass(frozen=True)
class TextConfig:
  """Kind and sizes of the text encoder; `norm_epsilon` and what follows matter for "bert" only."""

  kind: str
  vocab_size: int
  layers: int
  heads: int
  max_length: int
  token_dropout: float
  width: int
  norm_epsilon: float
  pretrained: str | None  # Folder of the weights and their tokenizer.
  frozen_layers: int  # The embeddings and so many layers are not trained; -1: all are.
  cache: str | None = None  # Folder of what the frozen layers make of the training texts.
  identity_heads: bool = False  # Whether the projections into the shared space start as identity.

  @classmethod
  def from_config(cls, config: ConfigDict, model_width: int) -> "TextConfig":
    """`config.model.text`, checked; a width of 0 becomes that of the model.

    Raises:
      UserError: an unknown kind, a number out of range, or keys that this kind does not have.
    """
    text = cls(**config)
    check_choice("model.text.kind", text.kind, KINDS)
    check_numbers("model.text", vars(text), _NUMBERS)
    width, key = (text.width, "model.text.width") if text.width else (model_width, "model.width")
    if text.heads < 1 or width % text.heads:
      raise UserError(
          f"model.text.heads: {text.heads} does not divide {key} {width}: change either"
      )
    if not -1 <= text.frozen_layers <= text.layers:
      raise UserError(
          f"model.text.frozen_layers={text.frozen_layers}: must be from -1 (all are trained) to"
          f" model.text.layers={text.layers}"
      )
    others = {
        "width": text.width,
        "pretrained": text.pretrained,
        "frozen_layers": text.frozen_layers + 1,
        "cache": text.cache,
        "identity_heads": text.identity_heads,
    }
    alien = next((name for name, value in others.items() if value), None)
    if text.kind == "scratch" and alien:
      raise UserError(
          f"model.text.{alien}: a text encoder from scratch has none: set model.text.kind=bert, or"
          " leave it out"
      )
    if text.frozen_layers >= 0 and not text.pretrained:
      raise UserError(
          f"model.text.frozen_layers={text.frozen_layers}: random weights would be frozen: set"
          " model.text.pretrained to a folder of weights, or frozen_layers to -1"
      )
    if text.cache and text.frozen_layers < 0:
      raise UserError(
          f"model.text.cache={text.cache}: there is nothing to keep, for all layers are trained:"
          " leave it out, or set model.text.frozen_layers"
      )
    return dataclasses.replace(text, width=width)


class TextEncoder(nn.Module):
  """Token and position embeddings, then a transformer. Padding gives zeros.

  In training `token_dropout` hides that share of the tokens: they leave the mask, which is
  returned, so that nothing later sees them either.
  """

  common: layers.Common
  config: TextConfig

  @nn.compact
  def __call__(
      self,
      text: Int[Array, "B L"],
      mask: Bool[Array, "B L"],
      states: None = None,
      *,
      train: bool,
  ) -> tuple[Float[Array, "B L D"], Bool[Array, "B L"]]:
    del states  # Nothing of this encoder is frozen.
    width, dtype, config = self.common.width, self.common.dtype, self.config
    check_length(text, config)
    if train and config.token_dropout:
      mask = hide_tokens(self.make_rng("dropout"), mask, config.token_dropout)
    init = primitives.table_init
    embed = nn.Embed(config.vocab_size, width, embedding_init=init, dtype=dtype, name="embedding")
    position = self.param("position", init, (config.max_length, width), jnp.float32)
    x = embed(text) + position[: text.shape[1]].astype(dtype)
    x = primitives.Dropout(self.common.dropout)(x, train=train)
    x = layers.transformer(self.common, config.layers, config.heads, x, mask, train=train)
    return jnp.where(mask[..., None], x, jnp.zeros((), x.dtype)), mask


def check_length(text: Int[Array, "B L"], config: TextConfig) -> None:
  """Raises `UserError` for more tokens than there are positions."""
  length = text.shape[1]
  if length > config.max_length:
    raise UserError(
        f"model.text.max_length: is {config.max_length} and the batch has {length} tokens a text:"
        " raise it or lower data.text_length"
    )


def hide_tokens(rng: jax.Array, mask: Bool[Array, "B L"], rate: float) -> Bool[Array, "B L"]:
  """The mask without a random share `rate` of its tokens; a text never loses all of them."""
  kept = mask & jax.random.bernoulli(rng, 1.0 - rate, mask.shape)
  return jnp.where(jnp.any(kept, axis=1, keepdims=True), kept, mask)
