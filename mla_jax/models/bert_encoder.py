"""A text encoder of the BERT family (Devlin et al., arXiv 1810.04805), trained in whole or part."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mla_jax.models import layers, pooling, primitives
from mla_jax.models.text_encoder import TextConfig, check_length, hide_tokens

TOKEN_TYPES = 2  # Rows of BERT's table of them; a text is all of the first.


class BertLayer(nn.Module):
  """Post-norm layer: the norms stand behind the sums, and the GELU is exact."""

  common: layers.Common
  config: TextConfig
  train: bool

  @nn.compact
  def __call__(
      self, x: Float[Array, "B L W"], mask: Bool[Array, "B L"]
  ) -> Float[Array, "B L W"]:
    arguments = (primitives.table_init, self.common.dtype)
    attention = layers.Attention(self.config.heads, *arguments, name="attention")
    x = self._norm("attention_norm")(x + self._drop(attention(x, mask)))
    mlp = layers.Mlp(*arguments, exact=True, name="mlp")
    return self._norm("mlp_norm")(x + self._drop(mlp(x)))

  def _norm(self, name: str) -> primitives.LayerNorm:
    return primitives.LayerNorm(self.common.dtype, self.config.norm_epsilon, name=name)

  def _drop(self, x: Float[Array, "B L W"]) -> Float[Array, "B L W"]:
    return primitives.Dropout(self.common.dropout)(x, train=self.train)


class Bert(nn.Module):
  """Token ids to the last hidden states, as `transformers.BertModel` gives them.

  What is frozen (`frozen_parameters`) has no dropout and no backward pass; its output may be given
  as `states` ("frozen_states" of the intermediates), and none of it is computed then. Where `seen`
  is given, the other tokens are hidden from the layers that are trained.
  """

  common: layers.Common
  config: TextConfig

  def setup(self) -> None:
    size = (self.config.vocab_size, self.config.width)
    self.word = nn.Embed(*size, embedding_init=primitives.table_init)

  @nn.compact
  def __call__(
      self,
      text: Int[Array, "B L"],
      mask: Bool[Array, "B L"],
      seen: Bool[Array, "B L"] | None = None,
      states: Float[Array, "B L W"] | None = None,
      *,
      train: bool,
  ) -> Float[Array, "B L W"]:
    common, config = self.common, self.config
    x = self._frozen(text, mask, train=train) if states is None else states.astype(common.dtype)
    seen = mask if seen is None else seen
    numbers = range(max(config.frozen_layers, 0), config.layers)
    return layers.stack(BertLayer, common, (common, config, train), numbers, x, seen)

  def words(self, text: Int[Array, "B L"], mask: Bool[Array, "B L"]) -> Float[Array, "B W"]:
    """The mean of each text's tokens, before any layer."""
    return pooling.mean(jax.lax.stop_gradient(self.word(text)), mask)

  def _frozen(
      self, text: Int[Array, "B L"], mask: Bool[Array, "B L"], *, train: bool
  ) -> Float[Array, "B L W"]:
    """The embeddings, trained or not, and the layers that are not."""
    common, config = self.common, self.config
    x = self._embed(text)
    if config.frozen_layers < 0:
      return primitives.Dropout(common.dropout)(x, train=train)
    still = (common, config, False)
    numbers = range(config.frozen_layers)
    x = layers.stack(BertLayer, common, still, numbers, x, mask, scanned="frozen_layers")
    x = jax.lax.stop_gradient(x)
    self.sow("intermediates", "frozen_states", x)
    return x

  def _embed(self, text: Int[Array, "B L"]) -> Float[Array, "B L W"]:
    config = self.config
    init, width = primitives.table_init, config.width
    position = self.param("position", init, (config.max_length, width), jnp.float32)
    token_type = self.param("token_type", init, (TOKEN_TYPES, width), jnp.float32)
    x = self.word(text) + position[: text.shape[1]] + token_type[0]
    return primitives.LayerNorm(self.common.dtype, config.norm_epsilon, name="norm")(x)


class BertEncoder(nn.Module):
  """`Bert` as text encoder: like `TextEncoder`, with the states brought to the model's width.

  `token_dropout` hides tokens as there, but from what is trained alone. [CLS] and [SEP] are tokens
  like others.
  """

  common: layers.Common
  config: TextConfig

  def setup(self) -> None:
    common, config = self.common, self.config
    self.bert = Bert(dataclasses.replace(common, width=config.width), config)
    if config.width != common.width:
      self.projection_norm = primitives.LayerNorm(common.dtype)
      # With all layers frozen this is the text side's only noise.
      self.projection_dropout = primitives.Dropout(common.dropout)
      self.projection = primitives.Dense(common.width, dtype=common.dtype)

  def __call__(
      self,
      text: Int[Array, "B L"],
      mask: Bool[Array, "B L"],
      states: Float[Array, "B L W"] | None = None,
      *,
      train: bool,
  ) -> tuple[Float[Array, "B L D"], Bool[Array, "B L"]]:
    config = self.config
    check_length(text, config)
    seen = mask
    if train and config.token_dropout:
      seen = hide_tokens(self.make_rng("dropout"), mask, config.token_dropout)
    x = self.bert(text, mask, seen, states, train=train)
    if config.width != self.common.width:
      x = self.projection_dropout(self.projection_norm(x), train=train)
      x = self.projection(x)
    return jnp.where(seen[..., None], x, jnp.zeros((), x.dtype)), seen

  def words(self, text: Int[Array, "B L"], mask: Bool[Array, "B L"]) -> Float[Array, "B W"]:
    """The mean of a text's tokens, before any layer; zeros for a text without any.

    An encoder of sentences puts words of one kind ("man", "woman") close to each other; here they
    are apart.
    """
    return self.bert.words(text, mask)


def frozen_parameters(config: TextConfig) -> tuple[str, ...]:
  """Patterns over the paths of the model's parameters: what `frozen_layers` keeps as it is.

  A pattern may match nothing: with `scan` the frozen layers are `frozen_layers`, else `layer_N`.
  """
  if config.kind != "bert" or config.frozen_layers < 0:
    return ()
  names = ["word", "position", "token_type", "norm", "frozen_layers"]
  names += [f"layer_{number}" for number in range(config.frozen_layers)]
  return (rf"text/bert/({'|'.join(names)})(/.*)?",)
