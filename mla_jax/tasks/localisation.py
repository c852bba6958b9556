"""Localisation of the moment a text tells of, and how well each clip of a video fits it.

By "contrastive" a window is scored like a video segment: its frames are pooled and projected by the
heads of the alignment, and its score is the mean cosine with the query over the levels that were
trained (global, segment; in the latter the query is one segment). That needs no training for
localisation. By "head" fusion lets the frames look at the text, each frame gets a logit for the
start and one for the end, and a window has the sum of its log-probabilities.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from ml_collections import ConfigDict
import numpy as np

from mla_jax.data import pipeline
from mla_jax.data.reader import Reader
from mla_jax.data.records import TextRecord
from mla_jax.data.sources import Texts
from mla_jax.data.task_fields import TaskFields
from mla_jax.errors import UserError, check_choice
from mla_jax.evals import dumps
from mla_jax.evals.localisation import temporal_iou
from mla_jax.models.mla import MLA, Embeddings, Encoded
from mla_jax.models.primitives import MASKED_LOGIT
from mla_jax.tasks import windows as windows_lib
from mla_jax.tasks.alignment import LossSettings, align
from mla_jax.tasks.base import (
    Batch,
    Evaluate,
    Evaluation,
    Metrics,
    Params,
    Sizes,
    Task,
    with_video_only,
)
from mla_jax.tasks.collect import collect
from mla_jax.tasks.encode import apply, encode_text, encode_video, for_each_text
from mla_jax.tasks.moment_protocols import PROTOCOLS, Found, Proposals, fixed_windows

_FOUND_IOU = 0.5  # From here on an example of the dump counts as found.


class Localised(NamedTuple):
  """What the loss reads: videos and texts, and the span logits [Q, T, 2] of a head."""

  aligned: tuple[Embeddings, Embeddings]
  spans: jax.Array | None


@dataclasses.dataclass(frozen=True)
class Localisation(Task):
  """Finds moments; trained by alignment, and by a head where there is one."""

  losses: LossSettings
  sizes: Sizes

  @classmethod
  def from_config(cls, config: ConfigDict) -> "Localisation":
    """Raises UserError for a model that cannot score windows in the way asked for."""
    losses, sizes = LossSettings.from_config(config.loss), Sizes.from_config(config)
    check_choice("eval.moments", sizes.moments, PROTOCOLS)
    model = config.model
    if not model.use_video:
      raise UserError("model.use_video=False: localisation needs the video")
    if sizes.scoring == "head" and (model.head != "span" or not model.num_answers):
      raise UserError(
          f"model.head={model.head!r}, model.num_answers={model.num_answers}: no head for spans, "
          "which is 'span' and 2; any checkpoint that was aligned localises with "
          "--config.eval.scoring=contrastive"
      )
    if sizes.scoring == "contrastive" and not _levels(losses):
      raise UserError("eval.scoring='contrastive': nothing was aligned: both loss weights are 0")
    return cls(losses, sizes)

  @property
  def wanted(self) -> TaskFields:
    # By similarities moments are evaluated against alone: training texts need none.
    return TaskFields(moment=True, optional=self.sizes.scoring == "contrastive")

  def embed(self, model: MLA, params: Params, batch: Batch, rng: jax.Array) -> Localised:
    def forward(module: MLA) -> Localised:
      video = encode_video(module, batch, segments=self.sizes.video_segments, train=True)
      text = encode_text(module, batch, segments=self.sizes.text_segments, train=True)
      by_head = self.sizes.scoring == "head"
      spans = self._span_logits(module, text, video, batch) if by_head else None
      return Localised((video.embeddings, text.embeddings), spans)

    return apply(model, params, forward, rng)

  def loss_of(
      self, model: MLA, params: Params, embeddings: Localised, batch: Batch, mesh: jax.sharding.Mesh
  ) -> tuple[jax.Array, Metrics]:
    scales = apply(model, params, MLA.scales)
    total, metrics = align(self.losses, *embeddings.aligned, scales, batch, mesh)
    if embeddings.spans is None:
      return total, metrics
    rows = batch["frame_mask"].shape[0]
    moment = self._own(batch["moment"].reshape(-1, 2), rows, batch)
    times = len(moment) // rows
    span, mask = (jnp.repeat(batch[name], times, axis=0) for name in ("frame_span", "frame_mask"))
    loss, parts = span_loss(embeddings.spans, span, mask, moment)
    return total + self.losses.task_weight * loss, metrics | parts

  def evaluator(self, model: MLA, mesh: jax.sharding.Mesh, reader: Reader) -> Evaluate:
    sizes = self.sizes

    @jax.jit
    def propose(params: Params, batch: Batch, fixed: jax.Array) -> dict[str, jax.Array]:
      return apply(model, params, lambda module: self._propose(module, batch, fixed))

    def evaluate(params: Params, texts: Texts) -> Evaluation:
      records = texts.store.read(texts.split, texts.items)
      fixed = fixed_windows(sizes.moments, records)
      batches = pipeline.text_batches(reader, texts, sizes.batch, with_video=True)
      found = collect(
          lambda params, batch: propose(params, batch, fixed), params, batches, mesh, len(records)
      )
      scored = PROTOCOLS[sizes.moments](records, Proposals(**found), sizes.nms, sizes.resamples)
      return _evaluation(texts, records, scored)

    return evaluate

  def _own(self, leaf: jax.Array, rows: int, batch: Batch) -> jax.Array:
    """Of all texts of the rows those that are queries: the first of each row."""
    slots = leaf.reshape(rows, -1, *leaf.shape[1:])
    slots = slots[:, : self.sizes.captions] if batch["mask"].ndim == 2 else slots
    return slots.reshape(-1, *leaf.shape[1:])

  def _span_logits(self, module: MLA, text: Encoded, video: Encoded, batch: Batch) -> jax.Array:
    """`[queries, T, 2]` in training."""
    rows = video.mask.shape[0]
    queries = jax.tree.map(lambda leaf: self._own(leaf, rows, batch), text)
    return module.span_logits(queries, for_each_text(video, queries.mask.shape[0]), train=True)

  def _propose(self, module: MLA, batch: Batch, fixed: jax.Array) -> dict[str, jax.Array]:
    """The fields of `Proposals` for a batch of queries."""
    video = encode_video(module, batch, segments=self.sizes.video_segments, train=False)
    query = batch | {"text_segment": batch["text_mask"].astype(jnp.int32)}
    text = encode_text(module, query, segments=1, train=False)
    span, mask = batch["frame_span"], batch["frame_mask"]

    def score(windows: jax.Array, scoring: str) -> jax.Array:
      inside = windows_lib.members(windows, span, mask)
      if scoring == "head":
        return span_scores(module.span_logits(text, video, train=False), mask, inside)
      return _similarity(module, text, video, inside, _levels(self.losses))

    scoring = self.sizes.scoring
    # A head for spans says nothing of single clips: their saliency is what the alignment sees.
    clips = self.sizes.moments == "qvhighlights" and _levels(self.losses)
    windows, real = windows_lib.sliding_windows(span, mask)
    of_fixed = jnp.broadcast_to(fixed, (span.shape[0], *fixed.shape))
    return {
        "windows": windows,
        "scores": score(windows, scoring),
        "real": real,
        "end": jnp.where(mask, span[..., 1], 0.0).max(axis=1),
        "fixed": score(of_fixed, "contrastive" if clips else scoring),
    }


def span_loss(
    logits: Float[Array, "B T 2"],
    span: Float[Array, "B T 2"],
    frame_mask: Bool[Array, "B T"],
    moment: Float[Array, "B 2"],
) -> tuple[jax.Array, Metrics]:
  """Cross-entropies of the frames in which a moment starts and ends, halved and added.

  Args:
    logits: of each frame being the first, and the last.
    span: seconds each frame stands for.
    frame_mask: True = real.
    moment: seconds; NaN = none: no part of the loss. One outside the frames counts as at their end.

  Returns:
    The mean loss (0 without a row that counts), and it as a metric.
  """
  known = jnp.isfinite(moment).all(axis=1) & frame_mask.any(axis=1)
  start, end = (jnp.where(known, moment[:, i], 0.0)[:, None] for i in (0, 1))
  last = frame_mask.sum(axis=1) - 1
  # The first frame that ends after the start, and the last that starts before the end.
  first_frame = jnp.minimum((frame_mask & (span[..., 1] <= start)).sum(axis=1), last)
  last_frame = jnp.maximum((frame_mask & (span[..., 0] < end)).sum(axis=1) - 1, 0)
  log_p = _log_probabilities(logits, frame_mask)
  wanted = jnp.maximum(jnp.stack([first_frame, last_frame], axis=-1), 0)
  losses = -jnp.take_along_axis(log_p, wanted[:, None], axis=1)[:, 0].mean(axis=-1)
  count = known.sum()
  loss = jnp.where(known, losses, 0.0).sum() / jnp.maximum(count, 1)
  return loss, {"loss/span": (loss, jnp.float32(1.0))}


def span_scores(
    logits: Float[Array, "B T 2"], frame_mask: Bool[Array, "B T"], inside: Bool[Array, "B W T"]
) -> Float[Array, "B W"]:
  """Log-probability that a span starts with a window's first frame and ends with its last."""
  log_p = _log_probabilities(logits, frame_mask)
  first = inside.argmax(axis=-1)
  last = inside.shape[-1] - 1 - inside[..., ::-1].argmax(axis=-1)
  start = jnp.take_along_axis(log_p[..., 0], first, axis=1)
  return start + jnp.take_along_axis(log_p[..., 1], last, axis=1)


def _log_probabilities(
    logits: Float[Array, "B T 2"], frame_mask: Bool[Array, "B T"]
) -> Float[Array, "B T 2"]:
  return jax.nn.log_softmax(jnp.where(frame_mask[..., None], logits, MASKED_LOGIT), axis=1)


def _similarity(
    module: MLA, text: Encoded, video: Encoded, inside: Bool[Array, "B W T"], levels: list[str]
) -> Float[Array, "B W"]:
  """The mean over the levels of the cosine of a window and the query."""
  query = {"global": text.global_embedding, "segment": text.segment_embedding[:, 0]}

  def cosine(level: str) -> jax.Array:
    windows = module.window_embeddings(video, inside, level=level)
    # As in the losses: neighbouring windows differ by little.
    highest = jax.lax.Precision.HIGHEST
    return jnp.einsum("bwe,be->bw", windows, query[level], precision=highest)

  return jnp.stack([cosine(level) for level in levels]).mean(axis=0)


def _levels(losses: LossSettings) -> list[str]:
  """The levels whose embeddings were trained."""
  weights = {"global": losses.global_weight, "segment": losses.segment_weight}
  return [level for level, weight in weights.items() if weight]


def _evaluation(texts: Texts, records: list[TextRecord], found: Found) -> Evaluation:
  rows = []
  added = dumps.row_metrics(found.columns)
  for place, (record, window) in enumerate(zip(records, found.first.tolist(), strict=True)):
    iou = float(np.max(temporal_iou(np.array(window), np.array(record.moments))))
    rows.append({
        "place": place,
        "id": record.item_id,
        "video": record.video_id,
        "text": record.text,
        "answer": " or ".join(f"{start:.1f}-{end:.1f} s" for start, end in record.moments),
        "predicted": f"{window[0]:.1f}-{window[1]:.1f} s",
        "window": window,
        "moments": record.moments,
        "iou": iou,
        "correct": iou >= _FOUND_IOU,
        "metrics": added[place],
    })
  left_out = {"queries_without_moment": len(texts.momentless)} | with_video_only(texts, "queries")
  metrics = found.metrics | left_out
  if texts.missing:
    metrics["full_split"] = _full_split(found.columns, texts.missing)
  return Evaluation(metrics=metrics, main=found.main, rows=rows)


def _full_split(
    columns: dict[str, Float[np.ndarray, " n"]], missing: int
) -> dict[str, float]:
  """Means over the whole split, queries without a video missed; of what every query has."""
  return {
      name: float(column.sum() / (len(column) + missing))
      for name, column in columns.items()
      if not np.isnan(column).any()
  }
