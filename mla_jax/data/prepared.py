"""Which prepared datasets a config reads, and what is in them, without reading a record."""

import pathlib

from ml_collections import ConfigDict

from mla_jax.data import record_format, selection
from mla_jax.data.records import MediaStore, TextStore
from mla_jax.data.sources import DEV
from mla_jax.errors import UserError, check_folder


def family_dir(config: ConfigDict) -> pathlib.Path:
  """Where the prepared datasets of `config.data` are.

  Raises:
    UserError: `data.dir` is not set, is no folder, or holds no such family.
  """
  if not config.data.dir:
    raise UserError("data.dir: not set; pass --config.data.dir=DIR, the --out of mla_jax.prepare")
  check_folder("data.dir", config.data.dir)
  family = pathlib.Path(config.data.dir) / config.data.family
  if not family.is_dir():
    raise UserError(f"{family}: not there; prepare it: python -m mla_jax.prepare --help")
  return family


def fingerprint(config: ConfigDict) -> dict[str, str]:
  """Content hash of every prepared dataset the run trains on, by its folder.

  Raises:
    UserError: one of them is not there, unfinished or damaged.
  """
  family = family_dir(config)
  read = list(config.data.sources.values())
  folders = {texts.texts for source in read for texts in (source, *source.beside.values())}
  if config.model.use_video:
    folders.add(record_format.MEDIA_FOLDER)
  return {
      name: record_format.finished_manifest(family / name)["fingerprint"]
      for name in sorted(folders)
  }


def only_grew(config: ConfigDict, name: str, before: str | None) -> bool:
  """Whether a folder of an earlier `fingerprint` is the media, with more videos since then.

  What was there keeps its number and its content, so no batch is another one.
  """
  if name != record_format.MEDIA_FOLDER:
    return False
  media = MediaStore.open(family_dir(config) / name)
  found = record_format.media_fingerprints(media.manifest["files"], media.video_ids())
  return any(one == before for one in found)


def evaluated(config: ConfigDict) -> dict[str, str]:
  """As `fingerprint`, of the texts that are evaluated and the media; without what is not there."""
  family = family_dir(config)
  names = [config.data.eval_texts, *([record_format.MEDIA_FOLDER] * config.model.use_video)]
  return {
      name: record_format.finished_manifest(family / name)["fingerprint"]
      for name in names
      if (family / name / record_format.MANIFEST).exists()
  }


def check_evaluable(config: ConfigDict, split: str) -> None:
  """Whether this could be `data.eval_split`.

  Raises:
    UserError: no split can have this name, or the evaluated texts have none of it.
  """
  record_format.check_split_name(split)
  if split == DEV:
    selection.check_selected(config.data)
    return
  texts = TextStore.open(family_dir(config) / config.data.eval_texts)
  if split not in texts.splits:
    raise UserError(
        f"{texts.directory}: no split {split!r}; it has {', '.join(sorted(texts.splits))}"
    )
