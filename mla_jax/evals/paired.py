"""Two runs on the same examples: how far apart, how sure, and could it be chance."""

from collections.abc import Iterator
import dataclasses
from typing import Any

from jaxtyping import Bool, Float, Num, Shaped
import numpy as np

from mla_jax.errors import UserError
from mla_jax.evals import bootstrap, inputs

# Floats per block of sign flips: bounds memory whatever the number of clusters.
_BLOCK = 4_000_000
_MOST_ENUMERATED = 16  # Clusters whose swaps are all tried: 8 MB of signs.


@dataclasses.dataclass(frozen=True)
class Difference:
  """What run B gains over run A, in the unit of the values.

  Attributes:
    mean: mean of b - a over the examples.
    interval: low and high end of its interval.
    p_value: two-sided, in [0, 1]; small = runs alike would hardly differ as much.
  """

  mean: float
  interval: tuple[float, float]
  p_value: float

  def to_json(self) -> dict[str, Any]:
    return {
        "difference": self.mean, "interval": list(self.interval), "p_value": self.p_value
    }


def paired_difference(
    a: Num[np.ndarray, " n"] | Bool[np.ndarray, " n"],
    b: Num[np.ndarray, " n"] | Bool[np.ndarray, " n"],
    clusters: Shaped[np.ndarray, " n"] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    *,
    confidence: float = 0.95,
) -> Difference:
  """Mean of b - a with a paired bootstrap interval and a sign-flip p-value, by cluster.

  The interval draws whole clusters with replacement, each example with both its values (Efron and
  Tibshirani 1993). The p-value swaps the two runs' values of whole clusters at random: if the
  runs are alike, each swap is as likely as none (Fisher 1935; Dror et al., ACL 2018). All swaps
  are tried where they are few (at most `resamples`, of at most 16 clusters that differ); else
  p = (1 + extreme) / (1 + resamples), which is never 0 (Phipson and Smyth 2010).

  Args:
    a, b: `[n]`, one value per example and run, in the same order: right or wrong, a rank, an error.
    clusters: `[n]`, equal = drawn and swapped together (the video of the example). None: each
      example by itself.
    resamples: of the bootstrap, and of the swaps; >= 1.
    seed: same seed, same result.
    confidence: share of the resampled differences inside the interval.

  Raises:
    UserError: no example, values of different length, NaN or infinity, or no resample.
  """
  a, b = _values("a", a), _values("b", b)
  clusters = np.arange(len(a)) if clusters is None else np.asarray(clusters)
  if not len(a):
    raise UserError("comparison: no example: give two runs that were evaluated on the same split")
  if not len(a) == len(b) == len(clusters):
    raise UserError(
        f"comparison: {len(a)} values of a, {len(b)} of b, {len(clusters)} clusters: give one an "
        "example"
    )
  if resamples < 1:
    raise UserError(f"comparison: resamples={resamples}: give 1 or more, e.g. 10000")
  difference = b - a
  interval = bootstrap.mean_interval(
      difference[:, None], clusters, resamples=resamples, seed=seed, confidence=confidence
  )
  low, high = interval[0].tolist()
  p_value = _sign_flip_p_value(difference, clusters, resamples, seed)
  return Difference(float(difference.mean()), (low, high), p_value)


def _sign_flip_p_value(
    difference: Float[np.ndarray, " n"],
    clusters: Shaped[np.ndarray, " n"],
    resamples: int,
    seed: int,
) -> float:
  _, cluster = np.unique(clusters, return_inverse=True)
  total = np.bincount(cluster, weights=difference)
  total = total[total != 0]  # A swap inside a cluster that does not differ changes nothing.
  # Sums in another order differ by rounding, and must still count as just as extreme.
  seen = abs(total.sum()) - 1e-12 * np.abs(total).sum()
  exact = len(total) <= _MOST_ENUMERATED and 2 ** len(total) <= resamples
  signs = _all_signs(len(total)) if exact else _random_signs(len(total), resamples, seed)
  extreme = sum(int(np.count_nonzero(np.abs(block @ total) >= seen)) for block in signs)
  return extreme / 2 ** len(total) if exact else (1 + extreme) / (1 + resamples)


def _all_signs(count: int) -> Iterator[Float[np.ndarray, "r count"]]:
  """Every choice of signs, the given one among them, in one block."""
  places = np.arange(2**count)[:, None] >> np.arange(count)
  yield 1.0 - 2.0 * (places & 1)


def _random_signs(
    count: int, resamples: int, seed: int
) -> Iterator[Float[np.ndarray, "r count"]]:
  rng = np.random.default_rng(seed)
  most = max(1, _BLOCK // count)
  for start in range(0, resamples, most):
    flips = rng.integers(0, 2, (min(most, resamples - start), count), dtype=np.int8)
    yield 1.0 - 2.0 * flips


def _values(name: str, values: Shaped[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
  if np.ndim(values) != 1:
    raise UserError(f"comparison: {name} has shape {np.shape(values)}: give one number an example")
  return inputs.finite(name, values)
