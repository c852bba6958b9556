"""Which texts select the best step: a share of the training videos, or a validation split.

Never the test split, unless `data.select_on_test` says so: the number it gives is the best of many
on the very examples that are reported.
"""

from ml_collections import ConfigDict
import numpy as np

from mla_jax.data.sources import DEV, Texts, open_texts, split_off_dev
from mla_jax.errors import UserError
from mla_jax.log import logger


def selected_on(config: ConfigDict) -> str | None:
  """The split that selects: `data.dev_split`, "dev" of a share of train; None: the last step."""
  name: str = config.dev_split
  return name or (DEV if config.dev_fraction else None)


def open_dev(config: ConfigDict, *, with_video: bool) -> Texts | None:
  """The texts that select the best step; None when the last one is kept.

  Raises:
    UserError: the split is the test split, or trained on; both a split and a share are named; no
      training source reads the evaluated kind of text, or the share holds no video.
  """
  on_test = config.select_on_test
  if config.dev_split:
    return _open_split(config, on_test=on_test, with_video=with_video)
  if not config.dev_fraction:
    return None
  for source in config.sources.values():
    if source.texts == config.eval_texts:
      texts = open_texts(config, source.texts, source.split, with_video=with_video)
      dev = split_off_dev(texts, config.dev_fraction)[1]
      if len(dev.items):
        return dev
      raise UserError(
          f"data.dev_fraction={config.dev_fraction}: holds no video of split {source.split!r}; "
          "raise it, or set it to 0 to keep the last step"
      )
  raise UserError(
      f"data.dev_fraction: no training source reads data.eval_texts={config.eval_texts!r}; "
      "set it to 0 to keep the last step"
  )


def require_dev(config: ConfigDict, *, with_video: bool) -> Texts:
  """`open_dev`, or a `UserError` where nothing selects."""
  check_selected(config)
  dev = open_dev(config, with_video=with_video)
  assert dev is not None
  return dev


def check_selected(config: ConfigDict) -> None:
  """Raises a `UserError` where nothing selects, so that there are no "dev" texts."""
  if selected_on(config) is None:
    raise UserError(
        "data.eval_split='dev': nothing is kept out of training: set data.dev_fraction or "
        "data.dev_split"
    )


def _open_split(config: ConfigDict, *, on_test: bool, with_video: bool) -> Texts:
  where = f"data.dev_split={config.dev_split!r}"
  if config.dev_fraction:
    raise UserError(
        f"{where}: and data.dev_fraction={config.dev_fraction} selects too: set "
        "--config.data.dev_fraction=0 (all of train is trained on), or leave the split out"
    )
  dev = open_texts(config, config.eval_texts, config.dev_split, with_video=with_video)
  if not on_test:
    reason = _tests(config, dev, with_video=with_video)
    if reason:
      raise UserError(
          f"{where}: {reason}: the best step would be chosen on what is reported; take a share of "
          "train (data.dev_fraction), or say --config.data.select_on_test=True"
      )
  for name, source in config.sources.items():
    if (source.texts, source.split) == (config.eval_texts, config.dev_split):
      raise UserError(f"{where}: data.sources.{name} trains on it: take another split")
    seen = _shared(dev, open_texts(config, source.texts, source.split, with_video=with_video))
    if seen:
      logger.warning("%s: %d of its videos are in training too (data.sources.%s: %s)", where,
                     seen, name, source.split)
  return dev


def _tests(config: ConfigDict, dev: Texts, *, with_video: bool) -> str:
  """Why these texts must not select; empty: they may."""
  if dev.split == config.eval_split:
    return "is data.eval_split"
  if dev.split.startswith("test"):
    return "is a test split"
  if config.eval_split == DEV:
    return ""
  tested = open_texts(config, config.eval_texts, config.eval_split, with_video=with_video)
  shared = _shared(dev, tested)
  return f"shares {shared} videos with data.eval_split={config.eval_split!r}" if shared else ""


def _shared(a: Texts, b: Texts) -> int:
  """How many videos two sets of texts have in common."""
  return len(np.intersect1d(a.video_ids(), b.video_ids()))
