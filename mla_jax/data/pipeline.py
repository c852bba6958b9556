"""Batches for training and evaluation: which rows, and what each is looked up and tokenized to."""

from collections.abc import Callable, Iterator
import dataclasses
import functools
import itertools

import numpy as np
import tensorflow as tf

from mla_jax.data import clips, frames, order, probes, tf_batches
from mla_jax.data.examples import NOTHING_MORE, Fields, Shapes, blank_fields, example_fields
from mla_jax.data.records import MediaStore, TextRecord
from mla_jax.data.sources import Pool, Source, Texts
from mla_jax.data.task_fields import TaskFields
from mla_jax.data.text import Tokenizer
from mla_jax.data.text_states import TextStates
from mla_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Reader:
  """What turns indices into examples: the same for training and evaluation.

  Attributes:
    media: the videos; None for a model without video.
    tokenizer: of the run.
    shapes: sizes of a batch.
    answers: answer -> class; None for tasks without answers.
    wanted: what else the task reads of a text.
    states: what a frozen text encoder makes of every training text; None: texts are token ids.
    probe: what is spoilt in evaluation, see `probes`.
    process, processes: which share of every batch is read here; rows are divided in order.
  """

  media: MediaStore | None
  tokenizer: Tokenizer
  shapes: Shapes
  answers: dict[str, int] | None
  wanted: TaskFields = NOTHING_MORE
  states: TextStates | None = None
  probe: str | None = None
  process: int = 0
  processes: int = 1

  def share(self, rows: int) -> slice:
    """This process's rows of a global batch of `rows`.

    Raises:
      UserError: they do not divide over the processes.
    """
    if rows % self.processes:
      raise UserError(
          f"a batch of {rows} rows does not divide over {self.processes} processes: change "
          "data.sources or eval.batch_size"
      )
    local = rows // self.processes
    return slice(self.process * local, (self.process + 1) * local)

  def whole(self) -> "Reader":
    """One that reads all rows, for what every process does by itself."""
    return dataclasses.replace(self, process=0, processes=1)


def train_batches(
    reader: Reader,
    sources: tuple[Source, ...],
    *,
    seed: int,
    steps: range,
) -> Iterator[Fields]:
  """Training batches of `steps`: this process's rows of each global batch.

  Everything in the batch of a step is a pure function of (seed, step), whatever the step the
  range starts at and however many processes share the work.
  """
  here = reader.share(sum(source.rows for source in sources))

  def units(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return step, _units(sources, seed, step)[here]

  def fetch(step: np.ndarray, units: np.ndarray) -> Fields:
    drawn = [
        _draw(sources, seed, int(step), row, unit)
        for row, unit in enumerate(units.tolist(), here.start)
    ]
    rows = [
        _train_row(reader, row, records)
        for row, records in zip(drawn, _read(drawn), strict=True)
    ]
    return clips.finish(rows, reader.media, reader.shapes)

  dataset = tf.data.Dataset.range(steps.start, steps.stop).map(units)
  return tf_batches.batches(dataset, fetch, _decode(reader, train=True), here.stop - here.start)


def row_texts(
    reader: Reader, sources: tuple[Source, ...], seed: int, step: int, rows: int
) -> list[str]:
  """Ids of the texts in the first `rows` rows of a step's batch, for error messages."""
  units = _units(sources, seed, tf.constant(step, tf.int64))[:rows].numpy().tolist()
  drawn = [_draw(sources, seed, step, row, unit) for row, unit in enumerate(units)]
  return [record.item_id for row in _read(drawn) for pool in row for record in pool]


def video_batches(reader: Reader, texts: Texts, batch: int) -> Iterator[Fields]:
  """Every video of `texts` once, in the order of `np.unique(texts.videos)`; padded at the end.

  `example_id` is the position in that order, `mask` False on padding.
  """
  videos = np.unique(texts.videos)

  def fetch(places: np.ndarray) -> list[Fields]:
    return [_eval_video(reader, int(videos[place % len(videos)])) for place in places]

  return _eval_batches(fetch, reader, len(videos), batch, with_video=True)


def text_batches(
    reader: Reader, texts: Texts, batch: int, *, with_video: bool = False
) -> Iterator[Fields]:
  """Every text of `texts` once, in order, with its video if asked; padded at the end.

  `example_id` is the position in `texts.items`, `mask` False on padding.
  """
  count = len(texts.items)

  def fetch(places: np.ndarray) -> list[Fields]:
    places = places % count
    records = texts.store.read(texts.split, texts.items[places])
    rows = []
    for place, record in zip(places, records, strict=True):
      reader.wanted.check(record)
      spoilt = probes.swap_phrases(record) if reader.probe == probes.SWAPPED else record
      row = example_fields(
          spoilt,
          reader.tokenizer,
          reader.shapes,
          answers=reader.answers,
          wanted=reader.wanted,
          align=False,
      )
      if with_video:
        row |= _eval_video(reader, int(texts.videos[place]))
      rows.append(row)
    return rows

  return _eval_batches(fetch, reader, count, batch, with_video=with_video)


def _units(sources: tuple[Source, ...], seed: int, step: tf.Tensor) -> tf.Tensor:
  """The unit of every row of the global batch of a step."""
  parts = [
      order.units_at_step(step, seed=seed, stream=i, rows=source.rows, units=source.units)
      for i, source in enumerate(sources)
  ]
  return tf.concat(parts, 0)


@dataclasses.dataclass(frozen=True)
class _Drawn:
  """A row of a training batch, before anything of it is read."""

  source: Source
  places: list[np.ndarray]  # Of each of the source's pools: positions in its `texts.items`.
  rng: np.random.Generator  # For what else is drawn.

  def items(self, pool: int) -> np.ndarray:
    """Indices in its split of the texts of one pool."""
    return self.source.pools[pool].texts.items[self.places[pool]]


def _draw(sources: tuple[Source, ...], seed: int, step: int, row: int, unit: int) -> _Drawn:
  source, rng = _source_of(sources, row), _row_rng(seed, step, row)
  return _Drawn(source, [pool.draw(unit, rng) for pool in source.pools], rng)


def _read(drawn: list[_Drawn]) -> list[list[list[TextRecord]]]:
  """The texts of every row, pool by pool; those of one pool are read at once."""
  found: list[list[list[TextRecord]]] = []
  for _, group in itertools.groupby(drawn, lambda row: row.source.name):
    rows = list(group)
    by_pool = []
    for number, pool in enumerate(rows[0].source.pools):
      items = np.concatenate([row.items(number) for row in rows])
      records = iter(pool.texts.store.read(pool.texts.split, items))
      by_pool.append([list(itertools.islice(records, len(row.places[number]))) for row in rows])
    found += [list(of_row) for of_row in zip(*by_pool, strict=True)]
  return found


def _train_row(reader: Reader, row: _Drawn, records: list[list[TextRecord]]) -> Fields:
  """The fields of one row, with what `clips.finish` makes its clip from."""
  video = int(row.source.own.texts.videos[row.places[0][0]])
  fields = _row_texts(reader, row, records)
  if reader.media is not None:
    window = clips.told(fields["times"]) if row.source.trim else frames.WHOLE
    fields |= clips.draws(reader.shapes, row.rng, window)
  return fields | {"video_key": np.array(video, np.int32)}


def _row_texts(reader: Reader, row: _Drawn, records: list[list[TextRecord]]) -> Fields:
  """The fields of the texts of one row, with an axis `[C]` if C > 1: every text in its slot."""
  texts: list[Fields] = []
  for i, pool in enumerate(row.source.pools):
    if pool is row.source.own and not reader.wanted.optional:
      for record in records[i]:
        reader.wanted.check(record)
    texts += _pool_texts(reader, pool, row.items(i), records[i], row.rng)
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
    rng: np.random.Generator,
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


def _eval_video(reader: Reader, video: int) -> Fields:
  return clips.centred(reader.shapes) | {"video_key": np.array(video, np.int32)}


def _eval_batches(
    fetch: Callable[[np.ndarray], list[Fields]],
    reader: Reader,
    count: int,
    batch: int,
    *,
    with_video: bool,
) -> Iterator[Fields]:
  places = np.arange(-(-count // batch) * batch)
  here = reader.share(batch)

  def fetch_marked(step: np.ndarray) -> Fields:
    chosen = places[int(step) * batch : (int(step) + 1) * batch][here]
    fields = clips.finish(fetch(chosen), reader.media, reader.shapes, reader.probe)
    return fields | {"mask": chosen < count, "example_id": chosen.astype(np.int32)}

  dataset = tf.data.Dataset.range(len(places) // batch).map(lambda step: (step,))
  decode = _decode(reader, train=False) if with_video else None
  return tf_batches.batches(dataset, fetch_marked, decode, here.stop - here.start)


def _decode(
    reader: Reader, *, train: bool
) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]] | None:
  """What is left to do to rows in the graph; None where there are no frames to decode."""
  if reader.media is None or reader.media.kind != "jpeg":
    return None
  probe = None if train else reader.probe
  return functools.partial(clips.decode, shapes=reader.shapes, train=train, probe=probe)


def _source_of(sources: tuple[Source, ...], row: int) -> Source:
  for source in sources:
    if row < source.rows:
      return source
    row -= source.rows
  raise IndexError(row)


def _row_rng(seed: int, step: int, row: int) -> np.random.Generator:
  return np.random.default_rng((seed, step, row))
