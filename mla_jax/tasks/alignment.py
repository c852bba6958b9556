"""Multi-level alignment of a batch: the global and the segment loss, weighted."""

from collections.abc import Iterator
import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mla_jax.errors import check_choice, check_numbers
from mla_jax.losses import contrastive, latent, pairs, segment
from mla_jax.losses.implementations import IMPLEMENTATIONS
from mla_jax.losses.regression import regression
from mla_jax.losses.types import LossOutput, Side
from mla_jax.models.mla import Embeddings
from mla_jax.models.scales import Scales
from mla_jax.tasks.base import Batch, Metrics

_GLOBAL = {"softmax": contrastive.softmax_alignment, "sigmoid": contrastive.sigmoid_alignment}
_PAIRINGS = ("timed", "latent", "timed+latent")
_NUMBERS = {
    "0 or more": ("task_weight", "global_weight", "segment_weight"),
    "from 0 to below 1": ("label_smoothing",),
    "above 0": ("segment_temperature", "init_temperature"),
}


@dataclasses.dataclass(frozen=True)
class LossSettings:
  """`config.loss`; configs/common.py says what each key means."""

  task_weight: float
  global_weight: float
  segment_weight: float
  impl: str
  duplicates: str
  label_smoothing: float
  global_kind: str
  segment_pairing: str
  segment_variant: str
  segment_temperature: float
  overlap_upper: float
  overlap_lower: float
  init_temperature: float
  init_bias: float

  @classmethod
  def from_config(cls, config: ConfigDict) -> "LossSettings":
    """Raises UserError on an unknown name and on a number that no loss could use."""
    settings = cls(**{field.name: config[field.name] for field in dataclasses.fields(cls)})
    check_choice("loss.impl", settings.impl, IMPLEMENTATIONS)
    check_choice("loss.global_kind", settings.global_kind, _GLOBAL)
    check_choice("loss.segment_pairing", settings.segment_pairing, _PAIRINGS)
    check_choice("loss.segment_variant", settings.segment_variant, latent.VARIANTS)
    check_choice("loss.duplicates", settings.duplicates, pairs.DUPLICATES)
    check_numbers("loss", vars(settings), _NUMBERS)
    segment.check_thresholds(settings.overlap_upper, settings.overlap_lower)
    return settings

  @property
  def pairings(self) -> list[str]:
    return self.segment_pairing.split("+")


def align(
    config: LossSettings,
    video: Embeddings,
    text: Embeddings,
    scales: Scales,
    batch: Batch,
    mesh: Mesh,
) -> tuple[jax.Array, Metrics]:
  """`global_weight * global + segment_weight * segment`, and their terms apart as metrics.

  With a regressor its loss is added: it has no parameter in common with the rest.

  Args:
    config: of the losses.
    video: B encoded videos.
    text: B * C encoded texts; text j belongs to video j // C.
    scales: temperatures.
    batch: `video_key [B]`, `mask [B]` or `[B, C]`, `overlap [B, N, M]` or `[B, C, N, M]`.
    mesh: over which all rows are split.
  """
  total = jnp.float32(0.0)
  metrics: Metrics = {}
  for name, weight, output in _losses(config, video, text, scales, batch, mesh):
    total += weight * output.loss
    metrics |= _named(name, output)
  return total, metrics


def _losses(
    config: LossSettings,
    video: Embeddings,
    text: Embeddings,
    scales: Scales,
    batch: Batch,
    mesh: Mesh,
) -> Iterator[tuple[str, float, LossOutput]]:
  """The losses that count, each with its name and weight."""
  captions = text.global_embedding.shape[0] // video.global_embedding.shape[0]
  text_mask = batch["mask"].reshape(-1)
  video_mask = text_mask.reshape(-1, captions).any(axis=1)
  video_side = functools.partial(Side, key=batch["video_key"])
  text_side = functools.partial(Side, key=jnp.repeat(batch["video_key"], captions))
  if config.global_weight:
    videos = video_side(video.global_embedding, video_mask)
    texts = text_side(text.global_embedding, text_mask)
    yield "global", config.global_weight, _global(config, videos, texts, scales, mesh)
  if video.pretrained is not None and text.pretrained is not None:
    videos = video_side(video.pretrained, video_mask)
    yield "regression", 1.0, regression(videos, text_side(text.pretrained, text_mask))
  if config.segment_weight:
    videos = video_side(video.segment_embedding, video.segment_mask & video_mask[:, None])
    texts = text_side(text.segment_embedding, text.segment_mask & text_mask[:, None])
    outputs = _segment(config, videos, texts, scales, batch["overlap"], mesh)
    for name, output in outputs.items():
      yield f"segment_{name}", config.segment_weight, output


def _global(
    config: LossSettings, video: Side, text: Side, scales: Scales, mesh: Mesh
) -> LossOutput:
  return _GLOBAL[config.global_kind](
      video,
      text,
      log_scale=scales.global_log_scale,
      bias=scales.global_bias,
      duplicates=config.duplicates,
      impl=config.impl,
      mesh=mesh,
  )


def _segment(
    config: LossSettings,
    video: Side,
    text: Side,
    scales: Scales,
    overlap: jax.Array,
    mesh: Mesh,
) -> dict[str, LossOutput]:
  """The pairings asked for; with both, texts that have times are left to `timed` alone."""
  pairings = config.pairings
  overlap = overlap.reshape(-1, *overlap.shape[-2:])  # [B * C, N, M]
  outputs = {}
  if "timed" in pairings:
    outputs["timed"] = segment.timed_alignment(
        video,
        text,
        overlap=overlap,
        log_scale=scales.segment_log_scale,
        upper=config.overlap_upper,
        lower=config.overlap_lower,
        impl=config.impl,
        mesh=mesh,
    )
  if "latent" in pairings:
    if "timed" in pairings:
      timed = (overlap >= 0).any(axis=(1, 2))
      text = Side(text.embedding, text.mask & ~timed[:, None], text.key)
    outputs["latent"] = segment.latent_alignment(
        video,
        text,
        variant=config.segment_variant,
        temperature=config.segment_temperature,
        log_scale=scales.segment_log_scale,
        duplicates=config.duplicates,
        impl=config.impl,
        mesh=mesh,
    )
  return outputs


def _named(name: str, output: LossOutput) -> Metrics:
  metrics: Metrics = {f"loss/{name}": (output.loss, jnp.float32(1.0))}
  return metrics | {f"{name}/{key}": value for key, value in output.metrics.items()}
