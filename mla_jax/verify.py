"""Checks prepared datasets: python -m mla_jax.verify DIR."""

import os

from absl import app

from mla_jax.errors import UserError, exit_on_user_error


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) != 2:
    raise UserError("usage: python -m mla_jax.verify DIR, the folder given to prepare as --out")

  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow only writes records here: its
  os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # advice on speed is of no use.
  from mla_jax.data import verify_dataset  # Heavy, and not needed for --help.

  verify_dataset.verify(argv[1])


if __name__ == "__main__":
  app.run(main)
