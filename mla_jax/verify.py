"""Checks prepared datasets: python -m mla_jax.verify DIR."""

from absl import app

from mla_jax import log
from mla_jax.errors import UserError, exit_on_user_error


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) != 2:
    raise UserError("usage: python -m mla_jax.verify DIR, the folder given to prepare as --out")

  log.configure()
  from mla_jax.data import verify_dataset  # Heavy, and not needed for --help.

  verify_dataset.verify(argv[1])


if __name__ == "__main__":
  app.run(main)
