"""Parameters that are computed from the training data before the first step, and not trained."""

from collections.abc import Mapping
import functools
from typing import Any

import jax
import numpy as np

from mla_jax import blocks, sharding
from mla_jax.data.sources import Source
from mla_jax.data.text_states import DistinctTexts
from mla_jax.models.mla import MLA
from mla_jax.run import Run

_BATCH = 256
_LEAST_SPREAD = 0.01  # Of the channels' mean.
_EPSILON = 1e-6
_WORDS, _FEATURES = "fusion/words", "heads/regressor/standard"
_VIDEOS = 4096  # Enough for means and spreads: at most twice as many are read.


def patterns(model: MLA) -> tuple[str, ...]:
  """Patterns over the paths of these parameters: no optimizer changes them."""
  words = (f"{_WORDS}/(mean|spread)",) if model.reads_words else ()
  return (*words, f"{_FEATURES}/(mean|spread)") if model.regresses else words


def of_features(run: Run, sources: tuple[Source, ...]) -> Mapping[str, np.ndarray]:
  """Their values by path, float32, for a model with a regressor: of videos' mean frames.

  Args:
    run: to train; its media are features.
    sources: of the training rows.
  """
  media = run.reader.media
  assert media is not None  # Else no such model is built.
  videos = np.unique(np.concatenate([source.own.texts.videos for source in sources]))
  videos = videos[:: max(len(videos) // _VIDEOS, 1)]
  means = [
      np.mean(np.asarray(video.payload, np.float32), axis=0)
      for first in range(0, len(videos), _BATCH)
      for video in media.read(videos[first : first + _BATCH])
  ]
  return _mean_and_spread(_FEATURES, np.stack(means))


def of_words(run: Run, texts: DistinctTexts, params: Any) -> Mapping[str, np.ndarray]:
  """Their values by path, float32, for a model that reads words.

  Args:
    run: to train; of several processes each computes all, from all texts.
    texts: all that a step may draw.
    params: of the model, its frozen text encoder filled in.
  """
  return _mean_and_spread(_WORDS, _words(run, params, *texts))


def _mean_and_spread(path: str, values: np.ndarray) -> Mapping[str, np.ndarray]:
  mean, spread = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
  # A channel that hardly varies here may elsewhere.
  spread = np.maximum(spread, max(_LEAST_SPREAD * spread.mean(), _EPSILON))
  return {f"{path}/mean": mean.astype(np.float32), f"{path}/spread": spread.astype(np.float32)}


def _words(run: Run, params: Any, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """The mean token of texts `[N, L]`, `[N, W]` float32."""

  @functools.partial(jax.jit, out_shardings=sharding.replicated(run.mesh))
  def encode(params: Any, ids: jax.Array, mask: jax.Array) -> Any:
    return run.model.apply({"params": params}, ids, mask, method=MLA.words)

  out = np.empty((len(ids), run.model.text_config.width), np.float32)
  for rows in blocks.equal_blocks(len(ids), min(_BATCH, len(ids))):
    out[rows] = np.asarray(encode(params, ids[rows], mask[rows]))
  return out
