"""Which checkpoints stay."""

from collections.abc import Mapping, Sequence
import dataclasses
import math
from typing import Any

from orbax.checkpoint.checkpoint_managers import preservation_policy

Metrics = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class LastAndBest(preservation_policy.PreservationPolicy):
  """The last `keep_last` checkpoints, and the one with the highest `metric` (of equals the first).

  A checkpoint without the metric, or where it is NaN, is never the best. Without `metric` none is.
  """

  keep_last: int
  metric: str | None

  def score(self, metrics: Metrics | None) -> float:
    """The metric; -inf where there is none."""
    value = (metrics or {}).get(self.metric, math.nan) if self.metric else math.nan
    return -math.inf if math.isnan(value) else value

  def best(self, metrics: Mapping[int, Metrics | None]) -> int | None:
    """The best of these steps, by their metrics."""
    step = max(metrics, key=lambda step: (self.score(metrics[step]), -step), default=None)
    return None if step is None or self.score(metrics[step]) == -math.inf else step

  def kept(self, metrics: Mapping[int, Metrics | None]) -> set[int]:
    """Those of these steps that stay."""
    best = self.best(metrics)
    return {*sorted(metrics)[-self.keep_last :], *([] if best is None else [best])}

  def should_preserve(
      self,
      checkpoints: Sequence[Any],
      *,
      context: preservation_policy.PreservationContext,
  ) -> Sequence[bool]:
    """What Orbax asks: for each of its records, in order, whether it stays."""
    del context
    kept = self.kept({info.step: info.metrics for info in checkpoints})
    return [info.step in kept for info in checkpoints]
