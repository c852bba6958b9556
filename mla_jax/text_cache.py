"""Runs the frozen part of a text encoder once over all training texts, for many runs to read."""

from collections.abc import Iterator
import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import shutil
import time
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from mla_jax import blocks, file_locks, sharding, watchdog
from mla_jax.data import examples, text_states
from mla_jax.data.reader import Reader
from mla_jax.data.records import TextRecord
from mla_jax.data.sources import Pool, Source
from mla_jax.data.task_fields import Words, answer_text, candidate_texts, with_answer
from mla_jax.data.text import TokenizedText
from mla_jax.data.text_states import DistinctTexts, TextStates
from mla_jax.errors import UserError
from mla_jax.log import logger
from mla_jax.models.bert_encoder import frozen_parameters
from mla_jax.models.mla import MLA
from mla_jax.run import Run

_BATCH = 256
_POLL_SECONDS = 0.5


def with_cached_texts(run: Run, texts: DistinctTexts, params: Any) -> Run:
  """The run, beside its training texts the frozen states in the folder `model.text.cache`.

  They are made on first use and found by the encoder's weights and the texts: a run of other
  weights or data makes its own. Evaluation encodes its texts itself: a cache is no part of a model.

  Args:
    run: to train; `model.text.cache` is set.
    texts: all that a step may draw.
    params: of the model; what is frozen in them is the same in every step.

  Raises:
    UserError: the folder cannot be written, or several processes train.
  """
  if jax.process_count() > 1:
    raise UserError("model.text.cache: works in one process: leave it out")
  ids, mask = texts
  name = text_states.fingerprint(ids, mask, _weights(params, run.model))
  path = pathlib.Path(run.config.model.text.cache) / name / "states.npy"
  if not path.exists():
    _make(path, run.model, params, ids, mask)
  states = TextStates(ids, mask, np.load(path, mmap_mode="r"))
  logger.info("%s: states of %d training texts", path, len(states))
  return dataclasses.replace(run, reader=dataclasses.replace(run.reader, states=states))


def training_texts(reader: Reader, sources: tuple[Source, ...]) -> DistinctTexts:
  """Every text that a step may draw, alone and with what it may be answered with; each once."""
  return text_states.distinct(_drawn(reader, sources))


def _drawn(reader: Reader, sources: tuple[Source, ...]) -> Iterator[TokenizedText]:
  for source in sources:
    for pool in source.pools:
      for record in pool.texts.store.read(pool.texts.split, pool.texts.items):
        for words in _texts_of(reader, pool, record):
          yield examples.tokenize(*words, reader.tokenizer, reader.shapes)[0]


def _texts_of(reader: Reader, pool: Pool, record: TextRecord) -> Iterator[Words]:
  asks = reader.answers is not None or reader.wanted.answered
  whole: list[Words] = [(record.text, record.segments)]
  runs = examples.runs_of_sentences(record, pool.sentences) if pool.sentences else whole
  for words in runs:
    if asks:
      yield words
    yield with_answer(*words, answer_text(record))
    if reader.wanted.candidates:
      yield from candidate_texts(words, record, reader.wanted.subtitles)


def _weights(params: Any, model: MLA) -> str:
  """A hash of what is frozen in the text encoder."""
  (pattern,) = frozen_parameters(model.text_config)
  digest = hashlib.sha256()
  for name, leaf in sharding.named_leaves(params).items():
    if re.fullmatch(pattern, name):
      digest.update(name.encode())
      digest.update(np.asarray(leaf).tobytes())
  return digest.hexdigest()


def _make(
    path: pathlib.Path, model: MLA, params: Any, ids: np.ndarray, mask: np.ndarray
) -> None:
  """Writes `[U, L, W]` float16, whole or not at all; another run that does is waited for."""
  partial = path.parent.with_name(f"{path.parent.name}.{os.getpid()}.partial")
  encode = jax.jit(functools.partial(_frozen_states, model))
  size = min(_BATCH, len(ids))
  shape = (*ids.shape, model.text_config.width)
  try:
    with _alone_in(path.parent.parent):
      if path.exists():
        return
      partial.mkdir()
      out = np.lib.format.open_memmap(partial / path.name, "w+", np.float16, shape)
      slices = list(blocks.equal_blocks(len(ids), size))
      for rows in tqdm(slices, desc="encoding texts", unit="batch", dynamic_ncols=True):
        watchdog.progress(f"text {rows.start}")
        out[rows] = np.asarray(encode(params, ids[rows], mask[rows]))
      out.flush()
      _move(partial, path.parent)
  except OSError as error:
    raise UserError(
        f"model.text.cache={path.parent.parent}: cannot be written ({error.strerror}): name another"
        " folder or free space"
    ) from error
  finally:
    shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _alone_in(folder: pathlib.Path) -> Iterator[None]:
  """Makes the folder, and waits while another run writes into it, if the file system has locks."""
  folder.mkdir(parents=True, exist_ok=True)
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    while file_locks.try_lock(descriptor) is False:
      watchdog.progress("waiting for another run, which encodes texts into the same folder")
      time.sleep(_POLL_SECONDS)
    yield
  finally:
    os.close(descriptor)


def _move(partial: pathlib.Path, final: pathlib.Path) -> None:
  try:
    partial.rename(final)
  except OSError:
    if not final.exists():  # Else another run was sooner, with the same content.
      raise


def _frozen_states(model: MLA, params: Any, ids: jax.Array, mask: jax.Array) -> jax.Array:
  segment = jax.numpy.zeros_like(ids)
  _, found = model.apply(
      {"params": params},
      ids,
      mask,
      segment,
      segments=1,
      train=False,
      method=MLA.encode_text,
      mutable=["intermediates"],
  )
  states: jax.Array = found["intermediates"]["text"]["bert"]["frozen_states"][0]
  return states.astype(jax.numpy.float16)
