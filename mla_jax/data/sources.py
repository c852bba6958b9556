"""Which texts a run trains on; `selection.py` says which select its best step."""

import dataclasses
import hashlib
import pathlib

from ml_collections import ConfigDict
import numpy as np

from mla_jax.data.records import TextRecord, TextStore
from mla_jax.data.task_fields import Rng
from mla_jax.errors import UserError
from mla_jax.log import logger

_BLOCK = 10_000  # Texts read at once where all of them are.
_SHOWN = 5  # Ids named of what is left out.
DEV = "dev"  # As `data.eval_split`: the share of the training videos that selects the best step.


@dataclasses.dataclass(frozen=True)
class Texts:
  """Some of the texts of one split, by their index in it.

  Attributes:
    store: the prepared texts.
    split: which split.
    items: int64 `[n]`, indices in the split.
    videos: int64 `[n]`, each item's record in the media (-1 = none).
    left_out: int64 `[m]`, indices of those that are in no batch because their video is not there.
    momentless: int64 `[k]`, as `left_out`, because localisation has nothing to find there.
  """

  store: TextStore
  split: str
  items: np.ndarray
  videos: np.ndarray
  left_out: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))
  momentless: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

  @property
  def missing(self) -> int:
    """How many have no video."""
    return len(self.left_out)

  def video_ids(self) -> np.ndarray:
    """Id of each item's video, `[n]`."""
    return np.asarray(self.store.video_ids(self.split))[self.items]

  def read_all(self) -> list[TextRecord]:
    """The items, and behind them what was left out: `[n + m]`."""
    return self.store.read(self.split, np.concatenate([self.items, self.left_out]))

  def only(self, keep: np.ndarray) -> "Texts":
    return dataclasses.replace(self, items=self.items[keep], videos=self.videos[keep])


@dataclasses.dataclass(frozen=True)
class Pool:
  """The texts of each unit of a source, and how many of them a row takes.

  Attributes:
    texts: what may be drawn.
    starts: int64 `[units + 1]`, unit u owns `members[starts[u]:starts[u + 1]]`.
    members: positions in `texts.items`, unit by unit.
    count: texts a row takes, its slots in the row.
    sentences: longest run of timed sentences taken from a paragraph; 0 = all.
  """

  texts: Texts
  starts: np.ndarray
  members: np.ndarray
  count: int
  sentences: int

  def draw(self, unit: int, rng: Rng) -> np.ndarray:
    """Up to `count` different texts of a unit, as positions in `texts.items`.

    Where sentences are drawn from a text there are `count`: of one paragraph several are taken.
    """
    members = self.members[self.starts[unit] : self.starts[unit + 1]]
    if len(members) > self.count:
      return rng().choice(members, self.count, replace=False)
    drawn = rng().permutation(members) if len(members) > 1 else members
    return np.resize(drawn, self.count) if self.sentences and len(drawn) else drawn


@dataclasses.dataclass(frozen=True)
class Source:
  """What fills some rows of every training batch.

  Units are videos (with texts drawn for each row) or texts, as `config.sources` says.

  Attributes:
    name: in the config.
    rows: rows of the global batch.
    own: the texts it walks over.
    beside: texts of other tasks about the same videos, for the slots after its own.
  """

  name: str
  rows: int
  own: Pool
  beside: tuple[Pool, ...]

  @property
  def units(self) -> int:
    return len(self.own.starts) - 1

  @property
  def pools(self) -> tuple[Pool, ...]:
    """What a row is filled from, in the order of its slots."""
    return (self.own, *self.beside)


def open_texts(config: ConfigDict, texts: str, split: str, *, with_video: bool) -> Texts:
  """The texts of a split; where videos are used, those without one are in `left_out`.

  Args:
    config: `config.data`.
    texts: the task's folder in the family.
    split: which of its splits.
    with_video: whether videos are used.

  Raises:
    UserError: the split does not exist or holds nothing that can be used.
  """
  store = TextStore.open(pathlib.Path(config.dir) / config.family / texts)
  if split not in store.splits:
    raise UserError(
        f"{store.directory}: no split {split!r}; it has {', '.join(sorted(store.splits))}"
    )
  videos = store.media_index(split)
  found = Texts(store, split, np.arange(len(videos)), videos)
  if with_video:
    keep = videos >= 0
    found = dataclasses.replace(found.only(keep), left_out=np.flatnonzero(~keep))
  if not len(found.items):
    raise UserError(
        f"{store.directory}: split {split!r} has no example with a video; prepare it with --media"
    )
  return found


def with_moments(texts: Texts) -> Texts:
  """The texts that tell of a moment; the others are no queries of localisation: counted, logged.

  Raises:
    UserError: there is none.
  """
  keep, known = (tell_of_a_moment(texts, items) for items in (texts.items, texts.left_out))
  where = f"{texts.store.directory}: split {texts.split!r}"
  if not keep.any():
    raise UserError(
        f"{where}: no text has a moment: use a localisation set and a split with public labels"
    )
  lost = np.concatenate([texts.items[~keep], texts.left_out[~known]])
  if len(lost):
    names = [record.item_id for record in texts.store.read(texts.split, lost[:_SHOWN])]
    first = ", ".join(names) + ", ..." * (len(lost) > _SHOWN)
    logger.warning("%s: %d texts without a moment are left out: %s", where, len(lost), first)
  return dataclasses.replace(
      texts.only(keep), left_out=texts.left_out[known], momentless=np.sort(lost)
  )


def tell_of_a_moment(texts: Texts, items: np.ndarray) -> np.ndarray:
  """Whether each of the texts does, bool `[n]`; `items` are their indices in the split."""
  blocks = np.array_split(items, len(items) // _BLOCK + 1)
  records = (record for block in blocks for record in texts.store.read(texts.split, block))
  return np.array([bool(record.moments) for record in records], bool)


def split_off_dev(texts: Texts, fraction: float) -> tuple[Texts, Texts]:
  """Divides texts into (train, dev) by a keyed hash of the video's id.

  A video is on one side in every run, dataset and task of its family, whatever the seed.
  """
  ids = np.asarray(texts.store.video_ids(texts.split))
  is_dev = np.array([hashed_share(video) < fraction for video in ids], bool)
  return _on_side(texts, ~is_dev), _on_side(texts, is_dev)


def _on_side(texts: Texts, side: np.ndarray) -> Texts:
  """The part of the texts that is on one side, `[texts of the split]`."""
  return dataclasses.replace(
      texts.only(side[texts.items]),
      left_out=texts.left_out[side[texts.left_out]],
  )


def open_sources(
    config: ConfigDict, *, with_video: bool, moments: bool = False
) -> tuple[Source, ...]:
  """The training sources of `config.data`, without the videos kept for selection.

  Where `moments` is set, a source's own texts are those that tell of one.
  """
  return tuple(
      _open_source(config, name, source, with_video=with_video, moments=moments)
      for name, source in sorted(config.sources.items())
  )


def slots(config: ConfigDict) -> int:
  """C: texts a row of the training batch has room for, its own first and then those beside."""
  beside = [
      sum(other.count for other in source.beside.values()) for source in config.sources.values()
  ]
  return config.captions + max(beside, default=0)


def _open_source(
    config: ConfigDict, name: str, source: ConfigDict, *, with_video: bool, moments: bool
) -> Source:
  where = f"data.sources.{name}"

  def train_texts(folder: str) -> Texts:
    texts = open_texts(config, folder, source.split, with_video=with_video)
    return split_off_dev(texts, config.dev_fraction)[0]

  texts = train_texts(source.texts)
  if moments:
    texts = with_moments(texts)
  units = _units(texts, source.unit, where)
  if not units:
    raise UserError(f"{where}: no {source.unit} is left for training: lower data.dev_fraction")
  if not 1 <= source.rows <= len(units):
    raise UserError(
        f"{where}.rows={source.rows}: takes 1 to {len(units)}, the {source.unit}s that it has"
    )
  own = _pool(texts, units, config.captions, source.sentences)
  videos = texts.video_ids()[[members[0] for members in units]]
  beside = []
  for _, other in sorted(source.beside.items()):
    texts = train_texts(other.texts)
    by_video = _by_video(texts)
    about = [by_video.get(video, np.zeros(0, np.int64)) for video in videos]
    beside.append(_pool(texts, about, other.count, other.sentences))
  return Source(name, source.rows, own, tuple(beside))


def _pool(texts: Texts, units: list[np.ndarray], count: int, sentences: int) -> Pool:
  starts = np.cumsum([0, *map(len, units)])
  return Pool(texts, starts, np.concatenate(units), count, sentences)


def _units(texts: Texts, unit: str, where: str) -> list[np.ndarray]:
  """Positions in `texts.items`, unit by unit."""
  if unit == "text":
    return list(np.arange(len(texts.items))[:, None])
  if unit != "video":
    raise UserError(f"{where}.unit={unit!r}: use 'video' or 'text'")
  return list(_by_video(texts).values())


def _by_video(texts: Texts) -> dict[str, np.ndarray]:
  """Positions in `texts.items` of each video's texts, in the order of the videos' ids."""
  ids, video = np.unique(texts.video_ids(), return_inverse=True)
  order = np.argsort(video, kind="stable")
  groups = np.split(order, np.flatnonzero(np.diff(video[order])) + 1)
  # Nothing is split into one group, of nothing.
  return dict(zip(ids.tolist(), groups[: len(ids)], strict=True))


def hashed_share(video_id: str) -> float:
  """In [0, 1), by the id alone: a video below `data.dev_fraction` selects, and never trains."""
  digest = hashlib.sha256(f"mla_jax dev {video_id}".encode()).digest()
  return int.from_bytes(digest[:8], "big") / 2**64
