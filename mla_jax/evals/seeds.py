"""Several seeds of one setting, on the same examples: what both kinds of noise leave of a mean."""

import dataclasses

from jaxtyping import Float, Shaped
import numpy as np
import scipy.stats

from mla_jax.errors import UserError
from mla_jax.evals import inputs, paired


@dataclasses.dataclass(frozen=True)
class _Mean:
  """A mean, its standard error, and the degrees of freedom of that."""

  value: float
  error: float
  freedom: float

  def interval(self, confidence: float) -> tuple[float, float]:
    if self.error == 0:
      return self.value, self.value
    reach = float(scipy.stats.t.ppf(0.5 + confidence / 2, self.freedom)) * self.error
    return self.value - reach, self.value + reach

  def p_value(self) -> float:
    """Two-sided, of a mean of 0; 0 only where there is no noise at all."""
    if self.error == 0:
      return float(self.value == 0)
    return 2 * float(scipy.stats.t.sf(abs(self.value) / self.error, self.freedom))


def seeds_interval(
    values: Float[np.ndarray, "S n"],
    clusters: Shaped[np.ndarray, " n"],
    *,
    confidence: float = 0.95,
) -> tuple[float, float]:
  """Interval of the mean over examples that other seeds and other clusters would have.

  Seeds and clusters are crossed random effects: the variance of the mean is (MS_seeds +
  MS_clusters - MS_rest) / (S K), the first two no smaller than the last, with Satterthwaite's
  degrees of freedom for a t-interval (Searle, Casella and McCulloch, Variance Components, 1992,
  chapter 4). Clusters of different sizes come in as in a ratio estimator (Cochran, Sampling
  Techniques, 1977, section 2.11); of a dozen clusters of very unequal sizes the interval is too
  short. A bootstrap over both would count the rest three times over and a handful of seeds as too
  little.

  Args:
    values: `[S, n]`, one value per seed and example.
    clusters: `[n]`, equal = one cluster (the video of the example).
    confidence: how often such intervals hold the mean.

  Returns:
    Low and high end, in the unit of `values`.

  Raises:
    UserError: a shape that does not fit, NaN or infinity, or one seed and one cluster, which tell
      nothing of noise.
  """
  return _mean(values, clusters).interval(confidence)


def seeds_difference(
    a: Float[np.ndarray, "S n"],
    b: Float[np.ndarray, "S n"],
    clusters: Shaped[np.ndarray, " n"],
    *,
    confidence: float = 0.95,
) -> paired.Difference:
  """What setting B gains over A, paired by seed and example; interval and p of `seeds_interval`.

  `paired.paired_difference` compares two trained models, this the two settings.
  """
  found = _mean(np.asarray(b, np.float64) - np.asarray(a, np.float64), clusters)
  return paired.Difference(found.value, found.interval(confidence), found.p_value())


def _mean(values: Float[np.ndarray, "S n"], clusters: Shaped[np.ndarray, " n"]) -> _Mean:
  values = inputs.finite("values", np.asarray(values, np.float64))
  if values.ndim != 2 or not values.size or values.shape[1] != len(clusters):
    raise UserError(
        f"seeds: values {values.shape}, {len(clusters)} clusters: give [seeds, examples]"
    )
  mean = float(values.mean())
  names, cluster = np.unique(clusters, return_inverse=True)
  scale = len(names) / len(clusters)  # Mean over the cells is then the mean over examples: 0.
  cells = np.stack([np.bincount(cluster, weights=row - mean) for row in values]) * scale
  variance, freedom = _variance_of_mean(cells)
  # Sums in another order differ by rounding: that is no noise.
  rounding = 1e-12 * float(np.abs(values).max())
  return _Mean(mean, float(np.sqrt(variance)) if variance > rounding**2 else 0.0, freedom)


def _variance_of_mean(cells: Float[np.ndarray, "S K"]) -> tuple[float, float]:
  """Of the mean of crossed cells, and its degrees of freedom; `cells` have mean 0."""
  seeds, clusters = cells.shape
  if seeds == clusters == 1:
    raise UserError("seeds: 1 seed and 1 video tell nothing of noise: evaluate on more videos")
  by_seed, by_cluster = cells.mean(axis=1), cells.mean(axis=0)
  rest = cells - by_seed[:, None] - by_cluster
  freedom = np.array([seeds - 1, clusters - 1, (seeds - 1) * (clusters - 1)])
  sums = np.array([
      clusters * np.sum(by_seed**2), seeds * np.sum(by_cluster**2), np.sum(rest**2)
  ])
  # One seed, or one cluster, has no mean square of its own and no rest.
  squares = np.divide(sums, freedom, out=np.zeros(3), where=freedom > 0)
  squares[:2] = np.where(freedom[:2] > 0, np.maximum(squares[:2], squares[2]), 0.0)
  total = float(squares[0] + squares[1] - squares[2])
  parts = float(np.sum(squares**2 / np.maximum(freedom, 1)))
  return total / cells.size, total**2 / parts if parts else 1.0
