from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.models import build, mla, video_encoder
from tests.models import tiny

PIXELS = {"video.kind": "pixels"}


def _encode(model: mla.MLA, batch: tiny.Batch) -> mla.Encoded:
  result = tiny.run(model, tiny.params(model), batch)["video"]
  return jax.tree.map(np.asarray, result)


def test_relative_time_runs_from_zero_to_one_over_real_frames() -> None:
  time = jnp.array([[2.0, 3.0, 6.0, 99.0], [5.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]])
  mask = jnp.array([[True, True, True, False], [True, False, False, False], [False] * 4])
  expected = [[0.0, 0.25, 1.0, 0.0], [0.0] * 4, [0.0] * 4]
  np.testing.assert_allclose(video_encoder.relative_time(time, mask), expected)


def test_time_waves_tell_all_times_of_a_clip_apart() -> None:
  waves = video_encoder.time_waves(jnp.linspace(0.0, 1.0, 65)[None])[0]
  assert waves.shape == (65, 16)
  distance = np.linalg.norm(waves[:, None] - waves[None], axis=-1) + 10.0 * np.eye(65)
  assert distance.min() > 0.5


@given(rows=st.integers(1, 3), columns=st.integers(1, 3), size=st.sampled_from([1, 2, 4]))
def test_patches_are_the_squares_of_the_frame(rows: int, columns: int, size: int) -> None:
  numbers = np.arange(2 * 2 * rows * columns * size * size * 3) % 251
  video = numbers.astype(np.uint8).reshape(2, 2, rows * size, columns * size, 3)
  patches, grid = video_encoder.cut_patches(video, size)
  assert grid == (rows, columns)
  for b, t, r, c in np.ndindex(2, 2, rows, columns):
    square = video[b, t, r * size : (r + 1) * size, c * size : (c + 1) * size]
    np.testing.assert_array_equal(patches[2 * b + t, r * columns + c], square.reshape(-1))


def test_a_frame_is_encoded_by_itself_before_time() -> None:
  model = build.build_model(tiny.config({**PIXELS, "video.temporal_layers": 0}))
  batch = tiny.batch(2, pixels=True)
  batch["frame_mask"][:] = True
  changed = {**batch, "video": batch["video"].copy()}
  changed["video"][:, 3] = 255 - changed["video"][:, 3]
  difference = np.abs(_encode(model, batch).states - _encode(model, changed).states).max((0, 2))
  assert difference[3] > 1e-3
  np.testing.assert_array_equal(np.delete(difference, 3), 0.0)


def test_motion_is_what_changed_since_the_real_frame_before() -> None:
  values = np.array([[1.0, 9.0, 4.0, 4.0, 7.0], [9.0, 2.0, 9.0, 9.0, 5.0]], np.float32)
  mask = np.array([[True, True, True, True, True], [False, True, False, False, True]])
  change = video_encoder.since_frame_before(values[:, :, None, None], mask)[:, :, 0, 0]
  np.testing.assert_array_equal(change[0], [0.0, 8.0, -5.0, 0.0, 3.0])
  np.testing.assert_array_equal(change[1][mask[1]], [0.0, 3.0])


def test_with_motion_a_frame_shows_in_the_next_one_too() -> None:
  model = build.build_model(
      tiny.config({**PIXELS, "video.motion": True, "video.temporal_layers": 0})
  )
  batch = tiny.batch(2, pixels=True)
  batch["frame_mask"][:] = [True, True, True, True, False, True]  # Padding is no frame before.
  changed = {**batch, "video": batch["video"].copy()}
  changed["video"][:, 3] = 255 - changed["video"][:, 3]
  difference = np.abs(_encode(model, batch).states - _encode(model, changed).states).max((0, 2))
  assert min(difference[3], difference[5]) > 1e-3
  np.testing.assert_array_equal(difference[[0, 1, 2, 4]], 0.0)


def test_order_matters() -> None:
  model = build.build_model(tiny.config())
  batch = tiny.batch(2)
  batch["frame_mask"][:] = True
  batch["frame_time"][:] = np.arange(6)
  turned = {**batch, "video": batch["video"][:, ::-1]}
  difference = _encode(model, batch).global_embedding - _encode(model, turned).global_embedding
  assert np.abs(difference).max() > 1e-2


def test_another_image_size_uses_interpolated_positions() -> None:
  model = build.build_model(tiny.config(PIXELS))
  params = tiny.params(model)
  position = params["video"]["frames"]["position"]
  assert position.shape == (2, 3, 16)  # 8 x 12 pixels in patches of 4.
  batch = tiny.batch(4, pixels=True)
  large = {**batch, "video": batch["video"].repeat(2, axis=2).repeat(2, axis=3)}
  plain, larger = _encode(model, batch), _encode(model, large)
  assert larger.global_embedding.shape == plain.global_embedding.shape
  assert np.all(np.isfinite(larger.global_embedding))
  kept = video_encoder.fit_position(position, (2, 3))
  np.testing.assert_array_equal(kept, position)
  ramp = jnp.tile(jnp.arange(3.0)[None, :, None], (2, 1, 4))
  np.testing.assert_allclose(
      video_encoder.fit_position(ramp, (2, 6))[0, :, 0], [0.0, 0.25, 0.75, 1.25, 1.75, 2.0]
  )


@pytest.mark.parametrize(
    ("changes", "shape", "said"),
    [
        ({}, (2, 3, 11), r"\[batch, frames, 10\].*\[2, 3, 11\].*feature_width"),
        ({}, (2, 3, 8, 8, 3), r"model.video: expects features.*model.video.kind"),
        (PIXELS, (2, 3, 10), r"model.video: expects frames.*model.video.kind"),
        (PIXELS, (2, 3, 8, 10, 3), r"multiples of patch_size 4.*\[2, 3, 8, 10, 3\].*image_size"),
        (PIXELS, (2, 3, 8, 8, 1), r"height, width, 3"),
        ({}, (2, 13, 10), r"model.video.max_frames: is 12.*13 frames.*num_frames"),
    ],
)
def test_frames_that_do_not_fit_are_refused(
    changes: dict[str, Any], shape: tuple[int, ...], said: str
) -> None:
  model = build.build_model(tiny.config(changes))
  params = tiny.params(model)
  video = np.zeros(shape, np.uint8 if len(shape) == 5 else np.float32)
  frames = np.ones(shape[:2])
  with pytest.raises(UserError, match=said):
    model.apply(
        {"params": params},
        video,
        frames > 0,
        frames,
        np.int32(frames),
        segments=1,
        train=False,
        method="encode_video",
    )


def test_feature_dropout_drops_a_channel_of_all_frames() -> None:
  config = tiny.config({"video.feature_dropout": 0.5, "video.temporal_layers": 0})
  model = build.build_model(config)
  params = tiny.params(model)
  frames = model.bind({"params": params}, rngs={"dropout": jax.random.key(0)}).video.frames
  same = np.tile(np.random.default_rng(0).normal(size=(3, 1, 10)).astype(np.float32), (1, 4, 1))
  mask = np.ones(same.shape[:2], bool)
  trained, evaluated = frames(same, mask, train=True), frames(same, mask, train=False)
  assert np.abs(trained - evaluated).max() > 1e-2
  np.testing.assert_allclose(trained, np.tile(trained[:, :1], (1, 4, 1)), atol=1e-6)
