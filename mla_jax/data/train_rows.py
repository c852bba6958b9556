"""The rows of a training batch: everything in them is a pure function of (seed, step, row)."""

import dataclasses
import itertools

from jaxtyping import Int
import numpy as np

from mla_jax.data import clips
from mla_jax.data.examples import Fields, blank_fields, example_fields
from mla_jax.data.reader import Reader
from mla_jax.data.records import TextRecord
from mla_jax.data.sources import Pool, Source
from mla_jax.data.task_fields import Rng


class _RowRng:
  """The generator of a row: made on first use, since it costs as much as reading a text."""

  def __init__(self, key: tuple[int, int, int]):
    self._key = key
    self._made: np.random.Generator | None = None

  def __call__(self) -> np.random.Generator:
    if self._made is None:
      self._made = np.random.default_rng(self._key)
    return self._made


@dataclasses.dataclass(frozen=True)
class _Drawn:
  """A row of a training batch, before anything of it is read."""

  source: Source
  rng: Rng
  video: int  # Its key.
  items: list[np.ndarray]  # Of each of the source's pools: indices of texts in its split.


def train_rows(
    reader: Reader,
    sources: tuple[Source, ...],
    seed: int,
    here: Int[np.ndarray, " rows"],
    step: np.ndarray,
    units: np.ndarray,
) -> Fields:
  """Some rows of the global batch of a step, but for what is left to `clips.decode`.

  Args:
    reader: of the run.
    sources: whose rows, one source after the other, are the batch.
    seed: of the run.
    here: numbers of the rows in the global batch, ascending.
    step: int64 scalar.
    units: int64 `[rows]`, of each row's source.
  """
  drawn = _draw(sources, seed, int(step), here, units)
  rows = [
      _row_texts(reader, row, records) | {"video_key": np.array(row.video, np.int32)}
      for row, records in zip(drawn, _read(drawn), strict=True)
  ]
  draws = clips.random_draws(reader.shapes, seed, int(step), here)
  return clips.finish(rows, reader.media, reader.shapes, draws)


def text_ids(
    sources: tuple[Source, ...], seed: int, step: int, units: np.ndarray
) -> list[str]:
  """Ids of the texts in the first rows of a step's batch, for error messages."""
  rows = _read(_draw(sources, seed, step, np.arange(len(units)), units))
  return [record.item_id for row in rows for pool in row for record in pool]


def _draw(
    sources: tuple[Source, ...], seed: int, step: int, numbers: np.ndarray, units: np.ndarray
) -> list[_Drawn]:
  return [
      _draw_row(_source_of(sources, row), unit, (seed, step, row))
      for row, unit in zip(numbers.tolist(), units.tolist(), strict=True)
  ]


def _draw_row(source: Source, unit: int, key: tuple[int, int, int]) -> _Drawn:
  rng = _RowRng(key)
  places = [pool.draw(unit, rng) for pool in source.pools]
  items = [pool.texts.items[found] for pool, found in zip(source.pools, places, strict=True)]
  return _Drawn(source, rng, int(source.own.texts.videos[places[0][0]]), items)


def _read(drawn: list[_Drawn]) -> list[list[list[TextRecord]]]:
  """The texts of every row, pool by pool; those of one pool are read at once."""
  found: list[list[list[TextRecord]]] = []
  for _, group in itertools.groupby(drawn, lambda row: row.source.name):
    rows = list(group)
    by_pool = []
    for number, pool in enumerate(rows[0].source.pools):
      items = np.concatenate([row.items[number] for row in rows])
      records = iter(pool.texts.store.read(pool.texts.split, items))
      by_pool.append([list(itertools.islice(records, len(row.items[number]))) for row in rows])
    found += [list(of_row) for of_row in zip(*by_pool, strict=True)]
  return found


def _row_texts(reader: Reader, row: _Drawn, records: list[list[TextRecord]]) -> Fields:
  """The fields of the texts of one row, with an axis `[C]` if C > 1: every text in its slot."""
  texts: list[Fields] = []
  for i, pool in enumerate(row.source.pools):
    if pool is row.source.own and not reader.wanted.optional:
      for record in records[i]:
        reader.wanted.check(record)
    texts += _pool_texts(reader, pool, row.items[i], records[i], row.rng)
    texts += _blanks(texts, pool.count - len(records[i]))
  if reader.shapes.captions == 1:
    return texts[0]
  texts += _blanks(texts, reader.shapes.captions - len(texts))
  return {name: np.stack([text[name] for text in texts]) for name in texts[0]}


def _blanks(texts: list[Fields], count: int) -> list[Fields]:
  return [blank_fields(texts[0])] * count if count > 0 else []


def _pool_texts(
    reader: Reader,
    pool: Pool,
    items: np.ndarray,
    records: list[TextRecord],
    rng: Rng,
) -> list[Fields]:
  return [
      example_fields(
          record,
          reader.tokenizer,
          reader.shapes,
          answers=reader.answers,
          wanted=reader.wanted,
          align=True,
          sentences=pool.sentences,
          rng=rng,
          states=reader.states,
      )
      | {"mask": np.array(True), "example_id": np.array(item, np.int32)}
      for record, item in zip(records, items, strict=True)
  ]


def _source_of(sources: tuple[Source, ...], row: int) -> Source:
  for source in sources:
    if row < source.rows:
      return source
    row -= source.rows
  raise IndexError(row)
