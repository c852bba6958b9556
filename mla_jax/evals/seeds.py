"""Several seeds of one setting: an interval that covers both the seeds and the examples."""

from jaxtyping import Float, Shaped
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import inputs

_BLOCK = 4_000_000  # Floats per block of resamples: bounds memory.


def seeds_interval(
    values: Float[np.ndarray, "S n"],
    clusters: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
  """Percentile interval of the mean over seeds and examples, both drawn with replacement.

  A two-way bootstrap (Owen, Ann. Appl. Stat. 2007): each resample draws S seeds and, apart from
  them, as many clusters as there are; an example counts the product of both. With few seeds their
  part is underestimated, as in any bootstrap of a handful.

  Args:
    values: `[S, n]`, one value per seed and example; of a paired comparison the differences.
    clusters: `[n]`, equal = drawn together (the video of the example).
    resamples: >= 1.
    seed: same seed, same interval.
    confidence: share of the resampled means inside the interval.

  Returns:
    Low and high end, in the unit of `values`.

  Raises:
    UserError: no value, a shape that does not fit, NaN or infinity, or no resample.
  """
  values = inputs.finite("values", np.asarray(values, np.float64))
  if values.ndim != 2 or not values.size or values.shape[1] != len(clusters):
    raise UserError(
        f"seeds_interval: values {values.shape}, {len(clusters)} clusters: give [seeds, examples]"
    )
  if resamples < 1:
    raise UserError(f"seeds_interval: resamples={resamples}: give 1 or more, e.g. 10000")
  names, cluster = np.unique(clusters, return_inverse=True)
  size = np.bincount(cluster).astype(np.float64)
  total = np.stack([np.bincount(cluster, weights=row) for row in values])
  rng = np.random.default_rng(seed)
  most = max(1, _BLOCK // len(names))
  means = []
  for start in range(0, resamples, most):
    rows = min(most, resamples - start)
    seeds = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), rows)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), rows)
    sums = np.sum((seeds @ total) * drawn, axis=1) / len(values)
    means.append(sums / (drawn @ size))
  tail = (1 - confidence) / 2
  low, high = np.quantile(np.concatenate(means), [tail, 1 - tail]).tolist()
  return low, high
