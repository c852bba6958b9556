"""Examples of a report: frames of the video over its text's phrases, with their similarities."""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from mla_jax import sharding
from mla_jax.data import pipeline
from mla_jax.data.segments import merge_segments
from mla_jax.data.sources import Texts
from mla_jax.models.mla import MLA
from mla_jax.run import Run
from mla_jax.tasks.encode import apply, encode_text, encode_video


@dataclasses.dataclass(frozen=True)
class Pair:
  """A text beside a video.

  Attributes:
    phrases: the text's segments, M strings.
    frames: uint8 `[T, H, W, 3]`, real frames only; None for a model that reads features.
    seconds: `[T]`, when each frame is.
    segment: int `[T]`, 1..N, each frame's video segment.
    similarity: `[N, M]` cosine of every video segment with every phrase.
  """

  phrases: list[str]
  frames: np.ndarray | None
  seconds: np.ndarray
  segment: np.ndarray
  similarity: np.ndarray


def choose(rows: Sequence[dict[str, Any]], most: int, seed: int = 0) -> list[dict[str, Any]]:
  """Half right and half wrong answers, drawn with a fixed seed: no picking of pretty ones."""
  rng = np.random.default_rng(seed)
  chosen: list[dict[str, Any]] = []
  for correct in (True, False):
    group = [row for row in rows if row["correct"] is correct]
    drawn = rng.permutation(len(group))[: most // 2]
    chosen += [group[i] for i in sorted(drawn)]
  return chosen


def pairs(run: Run, params: Any, texts: Texts, places: list[int], videos: list[int]) -> list[Pair]:
  """The text at each of `places` beside the video of the text at each of `videos`."""
  spoken = _batch(run, texts, places)
  seen = spoken if videos == places else _batch(run, texts, videos)
  fields = ("video", "frame_mask", "frame_time", "frame_segment")
  batch = {**spoken, **{name: seen[name] for name in fields}}
  similarity = jax.device_get(_similarity(run, params, batch))
  records = texts.store.read(texts.split, texts.items[np.array(places)])
  result = []
  for number, record in enumerate(records):
    parts = merge_segments(record.segments, run.config.data.text_segments)
    real = batch["frame_mask"][number]
    segment = batch["frame_segment"][number][real]
    frames = batch["video"][number][real] if batch["video"].dtype == np.uint8 else None
    result.append(
        Pair(
            phrases=[record.text[part.start : part.end] for part in parts],
            frames=frames,
            seconds=batch["frame_time"][number][real],
            segment=segment,
            similarity=similarity[number][: segment.max(initial=0), : len(parts)],
        )
    )
  return result


def _batch(run: Run, texts: Texts, places: list[int]) -> dict[str, np.ndarray]:
  chosen = texts.only(np.array(places))
  return next(pipeline.text_batches(run.reader.whole(), chosen, len(places), with_video=True))


def _similarity(run: Run, params: Any, batch: dict[str, np.ndarray]) -> jax.Array:
  data = run.config.data

  # Of parameters that lie in several processes too, each has the whole result.
  @functools.partial(jax.jit, out_shardings=sharding.replicated(run.mesh))
  def similarity(params: Any, batch: dict[str, jax.Array]) -> jax.Array:
    def forward(module: MLA) -> jax.Array:
      video = encode_video(module, batch, segments=data.video_segments, train=False)
      text = encode_text(module, batch, segments=data.text_segments, train=False)
      return video.segment_embedding @ text.segment_embedding.transpose(0, 2, 1)

    return apply(run.model, params, forward)

  numbers = {name: value for name, value in batch.items() if name != "overlap"}
  return similarity(params, numbers)
