"""How the levels are put together: weights, pairings, masks, several captions."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import pytest

from mla_jax import config_lib
from mla_jax.errors import UserError
from mla_jax.losses import contrastive, segment
from mla_jax.losses.types import Side
from mla_jax.models.mla import Encoded
from mla_jax.models.scales import Scales
from mla_jax.sharding import make_mesh
from mla_jax.tasks.alignment import LossSettings, align

MESH = make_mesh(ConfigDict({"data": 2, "fsdp": 1}), jax.devices()[:2])
SCALES = Scales(jnp.float32(2.0), jnp.float32(-1.0), jnp.float32(1.5))
SETTINGS = LossSettings.from_config(
    config_lib.load_config("configs/msrvtt_mini_retrieval.py").loss
)


def unit(rng: np.random.Generator, *shape: int) -> jax.Array:
  x = rng.standard_normal(shape)
  return jnp.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True), jnp.float32)


def encoded(seed: int, rows: int, segments: int) -> Encoded:
  rng = np.random.default_rng(seed)
  return Encoded(
      states=unit(rng, rows, 3, 8),
      mask=jnp.ones((rows, 3), bool),
      global_embedding=unit(rng, rows, 8),
      segment_embedding=unit(rng, rows, segments, 8),
      segment_mask=jnp.ones((rows, segments), bool),
  )


def batch(rows: int, captions: int = 1) -> dict[str, jax.Array]:
  shape = (rows,) if captions == 1 else (rows, captions)
  return {
      "video_key": jnp.arange(rows),
      "mask": jnp.ones(shape, bool),
      "overlap": jnp.full((*shape, 4, 2), -1.0),
  }


def losses(settings, video, text, fields):
  def loss(video, text, fields):
    return align(settings, video, text, SCALES, fields, MESH)

  total, metrics = jax.jit(loss)(video, text, fields)
  return float(total), {name: float(value) for name, (value, _) in metrics.items()}


def test_the_sum_is_weighted_and_a_zero_weight_leaves_its_level_out():
  video, text, fields = encoded(0, 5, 4), encoded(1, 5, 2), batch(5)
  settings = dataclasses.replace(
      SETTINGS, global_weight=2.0, segment_weight=0.25, segment_pairing="latent"
  )
  total, parts = losses(settings, video, text, fields)
  assert total == pytest.approx(2 * parts["loss/global"] + 0.25 * parts["loss/segment_latent"])
  _, parts = losses(dataclasses.replace(settings, segment_weight=0.0), video, text, fields)
  assert "loss/segment_latent" not in parts
  total, parts = losses(dataclasses.replace(settings, global_weight=0.0), video, text, fields)
  assert "loss/global" not in parts
  assert total == pytest.approx(0.25 * parts["loss/segment_latent"])


def test_what_is_guessed_of_a_video_is_drawn_to_its_texts_beside_the_levels():
  video, text, fields = encoded(0, 4, 4), encoded(1, 8, 2), batch(4, captions=2)
  without, parts = losses(SETTINGS, video, text, fields)
  assert "loss/regression" not in parts
  video = dataclasses.replace(video, pretrained=encoded(3, 4, 4).global_embedding)
  text = dataclasses.replace(text, pretrained=encoded(2, 8, 2).global_embedding)
  total, parts = losses(SETTINGS, video, text, fields)
  own = np.repeat(np.asarray(video.pretrained), 2, axis=0)
  apart = 1.0 - np.sum(own * np.asarray(text.pretrained), axis=-1)
  assert parts["loss/regression"] == pytest.approx(apart.mean(), rel=1e-6)
  assert total == pytest.approx(without + parts["loss/regression"])
  fields["mask"] = jnp.ones((4, 2), bool).at[0, 1].set(False)
  _, parts = losses(SETTINGS, video, text, fields)
  assert parts["loss/regression"] == pytest.approx(np.delete(apart, 1).mean(), rel=1e-6)


def test_texts_with_times_go_to_timed_and_the_others_to_latent():
  video, text, fields = encoded(0, 6, 4), encoded(1, 6, 2), batch(6)
  overlap = np.full((6, 4, 2), -1.0, np.float32)
  overlap[:3] = 0.0
  overlap[:3, 1, 0] = 1.0
  fields["overlap"] = jnp.asarray(overlap)
  both = dataclasses.replace(SETTINGS, segment_pairing="timed+latent")
  _, parts = losses(both, video, text, fields)
  keys = fields["video_key"]
  side = Side(video.segment_embedding, video.segment_mask, keys)
  untimed = text.segment_mask & (jnp.arange(6) >= 3)[:, None]
  latent = segment.latent_alignment(
      side,
      Side(text.segment_embedding, untimed, keys),
      variant=both.segment_variant,
      temperature=both.segment_temperature,
      log_scale=SCALES.segment_log_scale,
      duplicates=both.duplicates,
  )
  timed = segment.timed_alignment(
      side,
      Side(text.segment_embedding, text.segment_mask, keys),
      overlap=fields["overlap"],
      log_scale=SCALES.segment_log_scale,
      upper=both.overlap_upper,
      lower=both.overlap_lower,
  )
  assert parts["loss/segment_latent"] == pytest.approx(float(latent.loss), rel=1e-6)
  assert parts["loss/segment_timed"] == pytest.approx(float(timed.loss), rel=1e-6)


def test_padded_captions_count_for_nothing():
  video, text, fields = encoded(0, 4, 4), encoded(1, 8, 2), batch(4, captions=2)
  mask = jnp.asarray([[True, False]] * 4)
  one = jax.tree.map(lambda leaf: leaf[::2], text)
  settings = dataclasses.replace(SETTINGS, segment_pairing="latent")
  expected = losses(settings, video, one, batch(4))
  found = losses(settings, video, text, fields | {"mask": mask})
  assert found[0] == pytest.approx(expected[0], rel=1e-6)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_the_global_kind_is_the_one_asked_for(kind):
  video, text, fields = encoded(0, 4, 4), encoded(1, 4, 2), batch(4)
  _, parts = losses(dataclasses.replace(SETTINGS, global_kind=kind), video, text, fields)
  function = getattr(contrastive, f"{kind}_alignment")
  expected = function(
      Side(video.global_embedding, fields["mask"], fields["video_key"]),
      Side(text.global_embedding, fields["mask"], fields["video_key"]),
      log_scale=SCALES.global_log_scale,
      bias=SCALES.global_bias,
      duplicates=SETTINGS.duplicates,
  )
  assert parts["loss/global"] == pytest.approx(float(expected.loss), rel=1e-6)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_the_ring_is_used_where_asked_for_and_changes_no_number(kind):
  video, text, fields = encoded(0, 4, 4), encoded(1, 8, 2), batch(4, captions=2)
  overlap = np.full((4, 2, 4, 2), -1.0, np.float32)
  overlap[:, 0] = np.eye(4)[:, :2]
  fields["overlap"] = jnp.asarray(overlap)
  dense = dataclasses.replace(SETTINGS, global_kind=kind, segment_pairing="timed+latent")
  ring = dataclasses.replace(dense, impl="ring")
  traced = str(jax.make_jaxpr(lambda: align(ring, video, text, SCALES, fields, MESH))())
  assert traced.count("shard_map") == 3  # Global, timed and latent.
  (total, parts), (dense_total, dense_parts) = (
      losses(settings, video, text, fields) for settings in (ring, dense)
  )
  assert total == pytest.approx(dense_total, rel=1e-6)
  assert parts == pytest.approx(dense_parts, rel=1e-6)


@pytest.mark.parametrize(
    "key", ["global_kind", "segment_pairing", "segment_variant", "duplicates", "impl"]
)
def test_an_unknown_name_is_refused(key):
  config = config_lib.load_config("configs/msrvtt_mini_retrieval.py", {f"loss.{key}": "nothing"})
  with pytest.raises(UserError, match="nothing"):
    LossSettings.from_config(config.loss)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("overlap_upper", 1.5, "overlap_upper.*choose"),
        ("overlap_lower", 0.9, "overlap_lower.*choose"),
        ("task_weight", -1.0, "=-1.0: must be 0 or more"),
        ("task_weight", math.nan, "=nan: must be 0 or more"),
        ("global_weight", -1.0, "=-1.0: must be 0 or more"),
        ("global_weight", math.inf, "=inf: must be 0 or more"),
        ("segment_weight", math.nan, "=nan: must be 0 or more"),
        ("label_smoothing", 1.5, "=1.5: must be from 0 to below 1"),
        ("label_smoothing", -0.5, "=-0.5: must be from 0 to below 1"),
        ("init_temperature", 0.0, "=0.0: must be above 0"),
        ("init_temperature", -1.0, "=-1.0: must be above 0"),
        ("segment_temperature", 0.0, "=0.0: must be above 0"),
    ],
)
def test_a_number_that_no_loss_could_use_is_refused(key, value, said):
  config = config_lib.load_config("configs/msrvtt_mini_retrieval.py", {f"loss.{key}": value})
  said = f"^loss.{key}{said}$" if said.startswith("=") else said
  with pytest.raises(UserError, match=said):
    LossSettings.from_config(config.loss)
