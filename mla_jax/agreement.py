"""What all processes of a job must have in common before they do anything together."""

import jax
from ml_collections import ConfigDict

from mla_jax import code_version, pretrained_files, processes
from mla_jax.config_values import to_plain
from mla_jax.data.prepared import evaluated, fingerprint


def check_same(config: ConfigDict, *, training: bool) -> None:
  """Raises a `UserError` in every process unless all run the same code on the same data.

  An evaluation needs none of the data that the run was trained on.
  """
  trained_on = fingerprint(config) if training else {}
  processes.check_agreement({
      "config": to_plain(config),
      "code_version": code_version.current(),
      "jax": jax.__version__,
      "data_fingerprint": trained_on | evaluated(config),
      # One process need not read 80 MB to agree with itself.
      "weights": pretrained_files.fingerprint(config) if jax.process_count() > 1 else {},
  })
