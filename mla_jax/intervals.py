"""How long a run trains, and every how many steps it does what."""

import dataclasses

from ml_collections import ConfigDict

from mla_jax.errors import check_numbers


@dataclasses.dataclass(frozen=True)
class Every:
  """`config.train`: how long to train, and every how many steps to do what."""

  steps: int
  log_every: int
  eval_every: int
  checkpoint_every: int
  keep_last: int

  @classmethod
  def from_config(cls, config: ConfigDict) -> "Every":
    """Raises UserError on a number below 1."""
    every = cls(**{field.name: config[field.name] for field in dataclasses.fields(cls)})
    check_numbers("train", vars(every), {"at least 1": vars(every)})
    return every
