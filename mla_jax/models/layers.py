"""Transformer building blocks: masks are True = real, norms and softmax are float32."""

from collections.abc import Callable
import dataclasses
import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32
import numpy as np

# What the backward pass keeps of a layer; all else it computes again. The first keeps everything.
REMAT: dict[str, Callable[..., bool] | None] = {
    "none": jax.checkpoint_policies.everything_saveable,
    "full": None,  # Of each layer its input alone.
    "dots": jax.checkpoint_policies.dots_saveable,  # The results of matrix products.
    # Of them those of activations with parameters: attention's products grow with the square.
    "no_batch_dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}

MASKED_LOGIT = -1e30  # Finite, so a row with nothing to attend to has no NaN in value or gradient.

Dtype = Any
Initializer = Callable[..., jax.Array]


@dataclasses.dataclass(frozen=True)
class Common:
  """What every part of the model shares."""

  width: int
  dropout: float = 0.0
  scan: bool = False  # Scan over the layers of a stack: compile time constant in depth.
  remat: str = "none"  # What of each layer is computed again in the backward pass: `REMAT`.
  dtype: Dtype = jnp.float32  # Of the activations; parameters, norms and softmax are float32.


kernel_init: Initializer = nn.initializers.lecun_normal()
table_init: Initializer = nn.initializers.truncated_normal(0.02)
# Of what is added to content of size one: as small as a table, it would be unseen for long.
place_init: Initializer = nn.initializers.truncated_normal(0.5)


def residual_init(num_branches: int) -> Initializer:
  """Initializer of a residual branch's last layer.

  The sum of `num_branches` branches then starts with the variance of one of a tenth the size, so a
  fresh network is close to its embeddings and deep stacks train from the first step.
  """
  return nn.initializers.variance_scaling(0.1 / max(num_branches, 1), "fan_in", "truncated_normal")


class LayerNorm(nn.Module):
  """Layer norm over the last axis, computed in float32, returned in `dtype`."""

  dtype: Dtype = jnp.float32
  epsilon: float = 1e-6

  @nn.compact
  def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
    width = x.shape[-1]
    scale = self.param("scale", nn.initializers.ones, (width,), jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, (width,), jnp.float32)
    x = x.astype(jnp.float32)
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    return (centred * jax.lax.rsqrt(variance + self.epsilon) * scale + bias).astype(self.dtype)


@jax.custom_vjp
def matmul(x: Float[Array, "*S D"], kernel: Float[Array, "D F"]) -> Float[Array, "*S F"]:
  """`x @ kernel` whose gradient is written out, for XLA on CPU is slow at the derived one."""
  return x @ kernel


def _matmul_forward(
    x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return x @ kernel, (x, kernel)


def _matmul_backward(
    saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
  x, kernel = saved
  rows, outputs = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
  # The derived form, transpose(outputs.T @ rows), becomes a product of two transposed operands and
  # runs at a third of the speed. Here both are read as they lie, for a result wider than tall.
  if rows.shape[-1] <= outputs.shape[-1]:
    kernel_gradient = rows.T @ outputs
  else:
    # Transposed by halves, since XLA would turn product and transpose into rows.T @ outputs.
    halves = jnp.split(outputs.T @ rows, [rows.shape[-1] // 2], axis=1)
    kernel_gradient = jnp.concatenate([half.T for half in halves])
  return gradient @ kernel.T, kernel_gradient


matmul.defvjp(_matmul_forward, _matmul_backward)


class Dense(nn.Module):
  """Affine map of the last axis, computed in `dtype` from float32 parameters."""

  features: int
  dtype: Dtype = jnp.float32
  use_bias: bool = True
  kernel_init: Initializer = kernel_init

  @nn.compact
  def __call__(self, x: Float[Array, "*S D"]) -> Float[Array, "*S F"]:
    shape = (x.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
    y = matmul(x.astype(self.dtype), kernel.astype(self.dtype))
    if self.use_bias:
      bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
      y += bias.astype(self.dtype)
    return y


class Dropout(nn.Module):
  """Zeroes a share `rate` of the elements in training; `shared` axes get one draw.

  Reads the rng "dropout".
  """

  rate: float
  shared: tuple[int, ...] = ()

  @nn.compact
  def __call__(self, x: Float[Array, "..."], *, train: bool) -> Float[Array, "..."]:
    if not train or self.rate == 0.0:
      return x
    shape = tuple(1 if i in self.shared else n for i, n in enumerate(x.shape))
    keep = random_bits(self.make_rng("dropout"), shape) >= np.uint32(self.rate * 2**32)
    return jnp.where(keep, x * (1.0 / (1.0 - self.rate)), 0.0).astype(x.dtype)


def random_bits(rng: jax.Array, shape: tuple[int, ...]) -> UInt32[Array, "..."]:
  """Random uint32: a hash of each element's place and the key.

  Good enough for dropout and several times cheaper, to compile as to run, than `jax.random`, whose
  guarantees dropout does not need. Like there, sharding does not change the numbers. The hash is
  lowbias32 (github.com/skeeto/hash-prospector), the second half of the key entering midway so that
  the streams of two keys are not shifts of each other.
  """
  first, second = jax.random.bits(rng, (2,), jnp.uint32)
  bits = first
  for axis in range(len(shape)):
    place = jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
    bits = bits + place * np.uint32(math.prod(shape[axis + 1 :]) % 2**32)
  bits = (bits ^ (bits >> 16)) * np.uint32(0x7FEB352D) + second
  bits = (bits ^ (bits >> 15)) * np.uint32(0x846CA68B)
  return bits ^ (bits >> 16)


def masked_softmax(
    logits: Float[Array, "... S"], mask: Bool[Array, "... S"]
) -> Float[Array, "... S"]:
  """Softmax over the real places of the last axis, in float32; all zeros where none is real."""
  logits = jnp.where(mask, logits.astype(jnp.float32), MASKED_LOGIT)
  weights = jnp.exp(logits - jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True)))
  weights = jnp.where(mask, weights, 0.0)
  total = jnp.sum(weights, axis=-1, keepdims=True)
  return weights / jnp.where(total > 0.0, total, 1.0)


def dot_product_attention(
    query: Float[Array, "B Q H K"],
    key: Float[Array, "B S H K"],
    value: Float[Array, "B S H K"],
    mask: Bool[Array, "B S"],
) -> Float[Array, "B Q H K"]:
  """Scaled dot-product attention to the real keys; zeros where a row has none."""
  query = query * (query.shape[-1] ** -0.5)
  logits = jnp.einsum("bqhk,bshk->bhqs", query, key, preferred_element_type=jnp.float32)
  weights = masked_softmax(logits, mask[:, None, None, :]).astype(value.dtype)
  return jnp.einsum("bhqs,bshk->bqhk", weights, value)


class Attention(nn.Module):
  """Multi-head attention from `x` to itself, or to `memory` where one is given."""

  heads: int
  out_init: Initializer
  dtype: Dtype = jnp.float32

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
    return Dense(width, dtype=self.dtype, kernel_init=self.out_init, name="out")(mixed)

  def _dense(self, features: int, name: str) -> Dense:
    return Dense(features, dtype=self.dtype, name=name)

  def _split_heads(self, x: Float[Array, "B S D"]) -> Float[Array, "B S H K"]:
    return x.reshape(*x.shape[:-1], self.heads, x.shape[-1] // self.heads)


class Mlp(nn.Module):
  """Two dense layers, four times wider inside, with a GELU (tanh form, or exact) between."""

  out_init: Initializer
  dtype: Dtype = jnp.float32
  exact: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... D"]:
    width = x.shape[-1]
    hidden = Dense(4 * width, dtype=self.dtype, name="up")(x)
    hidden = nn.gelu(hidden, approximate=not self.exact)
    return Dense(width, dtype=self.dtype, kernel_init=self.out_init, name="down")(hidden)


class Layer(nn.Module):
  """Pre-norm layer: self-attention, cross-attention if there is a memory, MLP."""

  common: Common
  heads: int
  out_init: Initializer
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

  def _norm(self, name: str) -> LayerNorm:
    return LayerNorm(self.common.dtype, name=name)

  def _drop(self, x: Float[Array, "B Q D"]) -> Float[Array, "B Q D"]:
    return Dropout(self.common.dropout)(x, train=self.train)


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
  arguments = (common, heads, residual_init(branches * layers), train)
  x = stack(Layer, common, arguments, range(layers), x, mask, memory, memory_mask)
  return LayerNorm(common.dtype, name="norm")(x)


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
