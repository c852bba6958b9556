"""What of an evaluation a run was trained on: its videos, and whether on these texts."""

from collections.abc import Collection
import pathlib

from ml_collections import ConfigDict
import numpy as np

from mla_jax.data import record_format, sources
from mla_jax.data.annotations.files import read_json
from mla_jax.data.prepared import family_dir
from mla_jax.data.sources import Texts
from mla_jax.errors import UserError
from mla_jax.run import Run
from mla_jax.tasks.registry import make_task


def other_texts(run: Run, trained: ConfigDict) -> str:
  """Eight digits of the evaluated texts' fingerprint where training read others of that name.

  "" where they are the same, or where training read none of that name and family.
  """
  name = run.config.data.eval_texts
  known = _read_before(run, trained).get(name)
  if known is None:
    return ""
  found = record_format.finished_manifest(family_dir(run.config) / name)["fingerprint"]
  return "" if known == found else found[:8]


def count_videos(run: Run, trained: ConfigDict, texts: Texts) -> int:
  """How many of the evaluated videos were in training, as far as that can be known.

  Nothing is known of training texts that are gone or others by now, as an evaluation needs none of
  them; nor of another family, where equal ids need not be the same video.

  Args:
    run: of the evaluation.
    trained: the config of the training.
    texts: what is evaluated.
  """
  known = _read_before(run, trained)
  if not known:
    return 0
  there = trained.copy_and_resolve_references()
  if not pathlib.Path(there.data.dir).is_dir():  # Trained on another machine.
    there.data.dir = run.config.data.dir
  fraction, ids = there.data.dev_fraction, set(texts.video_ids().tolist())
  asked = {video for video in ids if sources.hashed_share(video) >= fraction}
  found = set()
  for source in there.data.sources.values():
    try:
      digest = record_format.finished_manifest(family_dir(there) / source.texts)["fingerprint"]
      if digest == known.get(source.texts):
        found |= _read_by(there, source, asked)
    except UserError:  # Gone, or not whole.
      continue
  return len(found)


def _read_before(run: Run, trained: ConfigDict) -> dict[str, str]:
  """Fingerprint by name of what training read; empty if that is of another family or not kept."""
  digests = run.workdir / "data.json"
  if run.config.data.family != trained.data.family or not digests.exists():
    return {}
  return read_json(digests, dict)


def _read_by(config: ConfigDict, source: ConfigDict, asked: Collection[str]) -> set[str]:
  """Those of the `asked` videos whose texts a source of `config.data` draws."""
  with_video, wanted = config.model.use_video, make_task(config).wanted
  texts = sources.open_texts(config.data, source.texts, source.split, with_video=with_video)
  ids = texts.video_ids()
  read = np.array([video in asked for video in ids.tolist()], bool)
  if wanted.moment and not wanted.optional:
    read[read] = sources.tell_of_a_moment(texts, texts.items[read])
  return set(ids[read].tolist())
