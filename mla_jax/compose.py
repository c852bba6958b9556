"""Puts captioned videos together to clips whose segments are known: python -m mla_jax.compose.

--out then is a dataset in ActivityNet Captions' layout, for `mla_jax.prepare timed_captions` with
--media=OUT/features.
"""

import pathlib

from absl import app, flags

from mla_jax import log
from mla_jax.errors import UserError, check_folder, exit_on_user_error

_USAGE = "usage: python -m mla_jax.compose --annotations=DIR --media=DIR --out=DIR"
_DATASET = flags.DEFINE_string("dataset", "msrvtt_retrieval", "Captioned set, as `prepare` has it.")
_ANNOTATIONS = flags.DEFINE_string("annotations", None, "Folder of its annotation files.")
_MEDIA = flags.DEFINE_string("media", None, "Folder of its features, NAME.npy a video.")
_OUT = flags.DEFINE_string("out", None, "Folder to write.")
_TEST_SPLIT = flags.DEFINE_string("test_split", "test", "Its split that `test` is made of.")
_DEV_FRACTION = flags.DEFINE_float(
    "dev_fraction", 0.1, "Share of its training videos that `val` is made of.",
    lower_bound=0.0, upper_bound=1.0)
_PARTS = flags.DEFINE_integer("parts", 3, "Videos a clip.", lower_bound=1)
_CLIPS = [
    flags.DEFINE_integer(f"{split}_clips", count, f"Clips of `{split}`.", lower_bound=1)
    for split, count in (("train", 3000), ("val", 300), ("test", 300))
]
_SEED = flags.DEFINE_integer("seed", 0, "Of every choice.", lower_bound=0)


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) != 1:
    raise UserError(_USAGE)
  out = _folder(_OUT)
  log.configure()
  from mla_jax.data import compose  # Heavy, and not needed for --help.

  train, val, test = (flag.value for flag in _CLIPS)
  settings = compose.Settings(
      dataset=_DATASET.value,
      annotations=_folder(_ANNOTATIONS),
      media=_folder(_MEDIA),
      test_split=_TEST_SPLIT.value,
      dev_fraction=_DEV_FRACTION.value,
      parts=_PARTS.value,
      clips=(train, val, test),
      seed=_SEED.value,
  )
  compose.write(pathlib.Path(out), settings)
  print(f"composed: {out}")


def _folder(flag: flags.FlagHolder[str | None]) -> str:
  """The folder that a flag names."""
  if flag.value is None:
    raise UserError(_USAGE)
  check_folder(f"--{flag.name}", flag.value)
  return flag.value


if __name__ == "__main__":
  app.run(main)
