"""Transformer layers: attention, one layer, stacks of them. Masks are True = real."""

from collections.abc import Callable
import dataclasses
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mla_jax.models import primitives

# What the backward pass keeps of a layer; all else it computes again. The first keeps everything.
REMAT: dict[str, Callable[..., bool] | None] = {
    "none": jax.checkpoint_policies.everything_saveable,
    "full": None,  # Of each layer its input alone.
    "dots": jax.checkpoint_policies.dots_saveable,  # The results of matrix products.
    # Of them those of activations with parameters: attention's products grow with the square.
    "no_batch_dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


@dataclasses.dataclass(frozen=True)
class Common:
  """What every part of the model shares."""

  width: int
  dropout: float = 0.0
  scan: bool = False  # Scan over the layers of a stack: compile time constant in depth.
  remat: str = "none"  # What of each layer is computed again in the backward pass: `REMAT`.
  # Of the activations; parameters, norms and softmax are float32.
  dtype: primitives.Dtype = jnp.float32


def dot_product_attention(
    query: Float[Array, "B Q H K"],
    key: Float[Array, "B S H K"],
    value: Float[Array, "B S H K"],
    mask: Bool[Array, "B S"],
) -> Float[Array, "B Q H K"]:
  """Scaled dot-product attention to the real keys; zeros where a row has none."""
  query = query * (query.shape[-1] ** -0.5)
  logits = jnp.einsum("bqhk,bshk->bhqs", query, key, preferred_element_type=jnp.float32)
  weights = primitives.masked_softmax(logits, mask[:, None, None, :]).astype(value.dtype)
  return jnp.einsum("bhqs,bshk->bqhk", weights, value)


class Attention(nn.Module):
  """Multi-head attention from `x` to itself, or to `memory` where one is given."""

  heads: int
  out_init: primitives.Initializer
  dtype: primitives.Dtype = jnp.float32

  @nn.compact
  def __call__(
      self,
      x: Float[Array, "B Q D"],
      mask: Bool[Array, "B S"],
      memory: Float[Array, "B S D"] | None = None,
  ) -> Float[Array, "B Q D"]:
    width = x.shape[-1]
    if memory is None:
      query, key, value = jnp.split(self._dense(3 * width, "query_key_value")(x), 3, axis=-1)
    else:
      query = self._dense(width, "query")(x)
      key, value = jnp.split(self._dense(2 * width, "key_value")(memory), 2, axis=-1)
    query, key, value = (self._split_heads(t) for t in (query, key, value))
    mixed = dot_product_attention(query, key, value, mask).reshape(x.shape)
    return primitives.Dense(width, dtype=self.dtype, kernel_init=self.out_init, name="out")(mixed)

  def _dense(self, features: int, name: str) -> primitives.Dense:
    return primitives.Dense(features, dtype=self.dtype, name=name)

  def _split_heads(self, x: Float[Array, "B S D"]) -> Float[Array, "B S H K"]:
    return x.reshape(*x.shape[:-1], self.heads, x.shape[-1] // self.heads)


class Mlp(nn.Module):
  """Two dense layers, four times wider inside, with a GELU (tanh form, or exact) between."""

  out_init: primitives.Initializer
  dtype: primitives.Dtype = jnp.float32
  exact: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
    width = x.shape[-1]
    hidden = primitives.Dense(4 * width, dtype=self.dtype, name="up")(x)
    hidden = nn.gelu(hidden, approximate=not self.exact)
    return primitives.Dense(width, dtype=self.dtype, kernel_init=self.out_init, name="down")(hidden)


class Layer(nn.Module):
  """Pre-norm layer: self-attention, cross-attention if there is a memory, MLP."""

  common: Common
  heads: int
  out_init: primitives.Initializer
  train: bool

  @nn.compact
  def __call__(
      self,
      x: Float[Array, "B Q D"],
      mask: Bool[Array, "B Q"],
      memory: Float[Array, "B S D"] | None = None,
      memory_mask: Bool[Array, "B S"] | None = None,
  ) -> Float[Array, "B Q D"]:
    arguments = (self.out_init, self.common.dtype)
    attention = Attention(self.heads, *arguments, name="attention")
    x += self._drop(attention(self._norm("attention_norm")(x), mask))
    if memory is not None and memory_mask is not None:
      cross = Attention(self.heads, *arguments, name="cross_attention")
      x += self._drop(cross(self._norm("cross_attention_norm")(x), memory_mask, memory))
    mlp = Mlp(*arguments, name="mlp")
    return x + self._drop(mlp(self._norm("mlp_norm")(x)))

  def _norm(self, name: str) -> primitives.LayerNorm:
    return primitives.LayerNorm(self.common.dtype, name=name)

  def _drop(self, x: Float[Array, "B Q D"]) -> Float[Array, "B Q D"]:
    return primitives.Dropout(self.common.dropout)(x, train=self.train)


def transformer(
    common: Common,
    layers: int,
    heads: int,
    x: Float[Array, "B Q D"],
    mask: Bool[Array, "B Q"],
    memory: Float[Array, "B S D"] | None = None,
    memory_mask: Bool[Array, "B S"] | None = None,
    *,
    train: bool,
) -> Float[Array, "B Q D"]:
  """A stack of pre-norm layers and a last norm `norm`, made inside the caller's compact method."""
  branches = 2 if memory is None else 3
  arguments = (common, heads, primitives.residual_init(branches * layers), train)
  x = stack(Layer, common, arguments, range(layers), x, mask, memory, memory_mask)
  return primitives.LayerNorm(common.dtype, name="norm")(x)


def stack(
    layer_type: type[nn.Module],
    common: Common,
    arguments: tuple[Any, ...],
    numbers: range,
    x: Float[Array, "B Q D"],
    *others: Array | None,
    scanned: str = "layers",
) -> Float[Array, "B Q D"]:
  """Layers one behind the other, made inside the caller's compact method.

  Parameters are `layer_N` for each of `numbers` or, with `common.scan`, one `scanned` stacked on
  axis 0.

  Args:
    layer_type: of every layer.
    common: says whether to scan and to recompute.
    arguments: with which a layer is made.
    numbers: of the layers.
    x: what goes through them.
    *others: what each layer gets beside it.
    scanned: name of the scanned layers.
  """
  scan = common.scan and len(numbers) > 0
  layer = layer_type
  if common.remat != "none":
    layer = nn.remat(layer_type, prevent_cse=not scan, policy=REMAT[common.remat])
  if not scan:
    for number in numbers:
      x = layer(*arguments, name=f"layer_{number}")(x, *others)
    return x
  step = nn.scan(
      lambda layer, x, *rest: (layer(x, *rest), None),
      variable_axes={"params": 0},
      split_rngs={"params": True, "dropout": True},
      in_axes=nn.broadcast,
      length=len(numbers),
  )
  x, _ = step(layer(*arguments, name=scanned), x, *others)
  return x
