"""Batches for training and evaluation: which rows, and in what order."""

from collections.abc import Callable, Iterator
import functools

import numpy as np
import tensorflow as tf

from mla_jax.data import clips, order, probes, row_processes, tf_batches, train_rows
from mla_jax.data.examples import Fields, example_fields
from mla_jax.data.reader import Reader
from mla_jax.data.sources import Source, Texts


def train_batches(
    reader: Reader,
    sources: tuple[Source, ...],
    *,
    seed: int,
    steps: range,
) -> Iterator[Fields]:
  """Training batches of `steps`: this process's rows of each global batch.

  Everything in the batch of a step is a pure function of (seed, step), whatever the step the
  range starts at and however many processes (`reader.places`, `reader.workers`) share the work.
  """
  here = reader.share(sum(source.rows for source in sources))

  def units(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return step, tf.gather(_units(sources, seed, step), here)

  dataset = tf.data.Dataset.range(steps.start, steps.stop).map(units)
  decode = _decode(reader, train=True)
  make = functools.partial(train_rows.train_rows, reader, sources, seed, here)
  with row_processes.spread(make, reader.workers) as fetch:
    yield from tf_batches.batches(
        dataset, fetch, decode, len(here), parallel=max(reader.workers + 1, 2)
    )


def row_texts(
    reader: Reader, sources: tuple[Source, ...], seed: int, step: int, rows: int
) -> list[str]:
  """Ids of the texts in the first `rows` rows of a step's batch, for error messages."""
  units = _units(sources, seed, tf.constant(step, tf.int64))[:rows].numpy()
  return train_rows.text_ids(sources, seed, step, units)


def video_batches(reader: Reader, texts: Texts, batch: int) -> Iterator[Fields]:
  """Every video of `texts` once, in the order of `np.unique(texts.videos)`; padded at the end.

  `example_id` is the position in that order, `mask` False on padding.
  """
  videos = np.unique(texts.videos)

  def fetch(places: np.ndarray) -> list[Fields]:
    return [_video_key(int(videos[place % len(videos)])) for place in places]

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
        row |= _video_key(int(texts.videos[place]))
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


def _video_key(video: int) -> Fields:
  return {"video_key": np.array(video, np.int32)}


def _eval_batches(
    fetch: Callable[[np.ndarray], list[Fields]],
    reader: Reader,
    count: int,
    batch: int,
    *,
    with_video: bool,
) -> Iterator[Fields]:
  batch = reader.padded(batch)
  places = np.arange(-(-count // batch) * batch)
  here = reader.share(batch)
  draws = clips.centred_draws(reader.shapes, len(here)) if with_video else None

  def fetch_marked(step: np.ndarray) -> Fields:
    chosen = places[int(step) * batch : (int(step) + 1) * batch][here]
    fields = clips.finish(fetch(chosen), reader.media, reader.shapes, draws, reader.probe)
    return fields | {"mask": chosen < count, "example_id": chosen.astype(np.int32)}

  dataset = tf.data.Dataset.range(len(places) // batch).map(lambda step: (step,))
  decode = _decode(reader, train=False) if with_video else None
  return tf_batches.batches(dataset, fetch_marked, decode, len(here))


def _decode(
    reader: Reader, *, train: bool
) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]] | None:
  """What is left to do to rows in the graph; None where there are no frames to decode."""
  if reader.media is None or reader.media.kind != "jpeg":
    return None
  probe = None if train else reader.probe
  return functools.partial(clips.decode, shapes=reader.shapes, train=train, probe=probe)


