"""The learned scales of the alignment losses."""

import math

from flax import linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

MAX_LOG_SCALE = math.log(100.0)


@flax.struct.dataclass
class Scales:
  """What the losses multiply similarities by (logarithms, at most ln 100) and add to them."""

  global_log_scale: Float[Array, ""]
  global_bias: Float[Array, ""]
  segment_log_scale: Float[Array, ""]


@jax.custom_vjp
def clip_log_scale(x: Float[Array, ""]) -> Float[Array, ""]:
  """At most ln 100. Past it the gradient passes only if descent leads back."""
  return jnp.minimum(x, MAX_LOG_SCALE)


def _clip_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  return clip_log_scale(x), x


def _clip_backward(x: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
  return (jnp.where((x < MAX_LOG_SCALE) | (gradient > 0.0), gradient, 0.0),)


clip_log_scale.defvjp(_clip_forward, _clip_backward)


class LearnedScales(nn.Module):
  """The scales as parameters."""

  init_temperature: float
  init_bias: float

  @nn.compact
  def __call__(self) -> Scales:
    log_scale = nn.initializers.constant(-math.log(self.init_temperature))
    bias = nn.initializers.constant(self.init_bias)
    return Scales(
        global_log_scale=clip_log_scale(self.param("global_log_scale", log_scale, ())),
        global_bias=self.param("global_bias", bias, ()),
        segment_log_scale=clip_log_scale(self.param("segment_log_scale", log_scale, ())),
    )
