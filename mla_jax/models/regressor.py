"""A guess at where a pretrained text encoder has the texts of a clip, from its features alone."""

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mla_jax.models import pooling, primitives


class Regressor(nn.Module):
  """An MLP of the mean frame, apart from the encoder: what it learns, it learns without negatives.

  Each channel counts as much as any other, and every clip as much as any other: close features are
  close by their cosine. `dropout` is of the features.
  """

  hidden: int
  embed_dim: int
  dropout: float
  dtype: primitives.Dtype = jnp.float32

  @nn.compact
  def __call__(
      self, features: Float[Array, "B T F"], mask: Bool[Array, "B T"], *, train: bool
  ) -> Float[Array, "B E"]:
    """Unit length, float32; zeros for a clip without a frame."""
    real = jnp.any(mask, axis=1)
    mean = pooling.mean(features.astype(jnp.float32), mask)
    x = primitives.Standardised(name="standard")(mean)
    x = pooling.unit(x, real) * jnp.sqrt(jnp.float32(x.shape[-1]))
    x = primitives.Dropout(self.dropout)(x.astype(self.dtype), train=train)
    x = nn.gelu(primitives.Dense(self.hidden, dtype=self.dtype, name="hidden")(x))
    project = primitives.Dense(self.embed_dim, use_bias=False, name="projection")
    return pooling.unit(project(x.astype(jnp.float32)), real)
