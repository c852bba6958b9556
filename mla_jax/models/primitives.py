"""What layers are made of: norms and softmax in float32, products, dropout; masks: True = real."""

from collections.abc import Callable
import math
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32
import numpy as np

MASKED_LOGIT = -1e30  # Finite, so a row with nothing to attend to has no NaN in value or gradient.

Dtype = Any
Initializer = Callable[..., jax.Array]

kernel_init: Initializer = nn.initializers.lecun_normal()
table_init: Initializer = nn.initializers.truncated_normal(0.02)
# Of what is added to content of size one: as small as a table, it would be unseen for long.
place_init: Initializer = nn.initializers.truncated_normal(0.5)


def identity_init(
    rng: jax.Array, shape: tuple[int, int], dtype: Dtype = jnp.float32
) -> Float[Array, "D D"]:
  """Initializer of a square kernel that changes nothing."""
  del rng
  return jnp.eye(shape[0], shape[1], dtype=dtype)


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


class Standardised(nn.Module):
  """Each channel of the last axis with mean 0 and spread 1 over the training data.

  `data_parameters` fills both in, and nothing trains them. Unlike a norm of each row it leaves no
  mean that all rows share, and a channel of little variance counts as any other.
  """

  dtype: Dtype = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "*S D"]) -> Float[Array, "*S D"]:
    width = x.shape[-1:]
    mean = self.param("mean", nn.initializers.zeros, width, jnp.float32)
    spread = self.param("spread", nn.initializers.ones, width, jnp.float32)
    x = (x.astype(jnp.float32) - jax.lax.stop_gradient(mean)) / jax.lax.stop_gradient(spread)
    return x.astype(self.dtype)


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
