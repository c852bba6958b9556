from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict
import numpy as np
import pytest

from mla_jax import sharding
from mla_jax.errors import UserError
from mla_jax.models import build, mla, pooling
from tests.models import tiny

PIXELS = {"video.kind": "pixels"}
KINDS = [pytest.param({}, id="features"), pytest.param(PIXELS, id="pixels")]


def _batch(changes: dict[str, Any], rows: int = 4) -> tiny.Batch:
  return tiny.batch(rows, pixels=changes.get("video.kind") == "pixels")


@pytest.mark.parametrize("changes", KINDS)
def test_outputs_are_what_the_contract_says(changes: dict[str, Any]) -> None:
  model = build.build_model(tiny.config(changes))
  result = tiny.run(model, tiny.params(model), _batch(changes))
  shapes = jax.tree.map(lambda x: (x.shape, x.dtype.name), result)
  for side, places, segments in (("video", 6, 3), ("text", 8, 2)):
    assert shapes[side] == mla.Encoded(
        states=((4, places, 16), "float32"),
        mask=((4, places), "bool"),
        global_embedding=((4, 12), "float32"),
        segment_embedding=((4, segments, 12), "float32"),
        segment_mask=((4, segments), "bool"),
    )
    encoded = jax.tree.map(np.asarray, result[side])
    np.testing.assert_allclose(np.linalg.norm(encoded.global_embedding, axis=-1), 1.0, atol=1e-5)
    lengths = np.linalg.norm(encoded.segment_embedding, axis=-1)
    np.testing.assert_allclose(lengths, encoded.segment_mask, atol=1e-5)
    assert not np.any(encoded.states[~encoded.mask])
  assert shapes["logits"] == ((4, 7), "float32")


def test_parameter_paths_read_well() -> None:
  names = tiny.named(tiny.params(build.build_model(tiny.config(PIXELS))))
  for name in (
      "video/frames/patch/kernel",
      "video/frames/layer_0/mlp/up/kernel",
      "video/temporal/layer_0/attention/query_key_value/kernel",
      "text/embedding/embedding",
      "text/layer_0/attention_norm/scale",
      "fusion/layer_0/cross_attention/key_value/kernel",
      "heads/text_segment/projection/kernel",
      "heads/answer/logits/bias",
      "scales/global_log_scale",
  ):
    assert name in names
  assert {name.split("/")[0] for name in names} == {"video", "text", "fusion", "heads", "scales"}


@pytest.mark.parametrize("changes", [*KINDS, {"use_video": False}])
def test_init_makes_the_parameters_that_are_used_and_no_other(changes: dict[str, Any]) -> None:
  model = build.build_model(tiny.config(changes))
  _, gradient = tiny.value_and_grad(model, tiny.params(model), _batch(changes))
  assert not [name for name, leaf in tiny.named(gradient).items() if not np.any(leaf)]


def test_without_answers_there_is_nothing_to_answer_with() -> None:
  model = build.build_model(tiny.config({"num_answers": 0}))
  params = tiny.params(model)
  assert not [name for name in tiny.named(params) if "fusion" in name or "answer" in name]
  text = jax.eval_shape(lambda: model.apply({"params": params}, tiny.batch(), method=tiny.outputs))[
      "text"
  ]
  with pytest.raises(UserError, match="num_answers"):
    model.apply({"params": params}, text, None, train=False, method="answer_logits")


def test_a_fresh_model_is_finite_and_told_apart_by_its_content() -> None:
  model = build.build_model(tiny.config())
  result = tiny.run(model, tiny.init(model, tiny.batch()), tiny.batch(16))
  for side in ("video", "text"):
    embedding = np.asarray(result[side].global_embedding)
    cosines = (embedding @ embedding.T)[np.triu_indices(16, 1)]
    # A collapsed start would have to be unlearnt. Two of 16 short texts may well be alike.
    assert cosines.mean() < 0.75
  assert np.abs(result["logits"]).max() < 1.0  # Answers start near equally likely.


def test_captions_of_a_video_are_flattened_for_init() -> None:
  model = build.build_model(tiny.config())
  batch = tiny.batch()
  wide = {k: np.stack([v, v], 1) if "text" in k else v for k, v in batch.items()}
  one, two = (jax.eval_shape(model.init, jax.random.key(0), given) for given in (batch, wide))
  assert jax.tree.map(jnp.shape, one) == jax.tree.map(jnp.shape, two)


@given(
    seed=st.integers(0, 1000),
    garbage=st.sampled_from([0.0, np.nan, 1e9, -3.0]),
    segment=st.integers(0, 4),
)
def test_padding_changes_nothing(seed: int, garbage: float, segment: int) -> None:
  model = build.build_model(tiny.config())
  params = tiny.params(model)
  batch = tiny.batch(3, seed=seed)
  padded_batch = {key: _pad(key, value, garbage, segment) for key, value in batch.items()}
  plain = tiny.run(model, params, batch)
  padded = tiny.run(model, params, padded_batch, segments=(5, 4))
  np.testing.assert_allclose(padded["logits"], plain["logits"], atol=1e-5)
  for side, places, known in (("video", 6, 3), ("text", 8, 2)):
    ours, theirs = padded[side], plain[side]
    np.testing.assert_allclose(ours.states[:, :places], theirs.states, atol=1e-5)
    np.testing.assert_allclose(ours.global_embedding, theirs.global_embedding, atol=1e-6)
    np.testing.assert_allclose(
        ours.segment_embedding[:, :known], theirs.segment_embedding, atol=1e-6
    )
    np.testing.assert_array_equal(ours.segment_mask[:, :known], theirs.segment_mask)
    assert not ours.segment_mask[:, known:].any()


def _pad(name: str, value: np.ndarray, garbage: float, segment: int) -> np.ndarray:
  """Three more frames or five more tokens, which the masks leave out."""
  tail = np.zeros((len(value), 5 if "text" in name else 3, *value.shape[2:]), value.dtype)
  if name in ("video", "frame_time"):
    tail[:] = garbage
  if name in ("text", "text_segment", "frame_segment"):
    tail[:] = segment
  return np.concatenate([value, tail], axis=1)


def test_padding_between_frames_changes_nothing() -> None:
  model = build.build_model(tiny.config(PIXELS))
  batch = tiny.batch(pixels=True)
  batch["frame_mask"][:] = True
  wide = dict(batch)
  for key in tiny.VIDEO_KEYS:
    wide[key] = np.zeros((4, 8, *batch[key].shape[2:]), batch[key].dtype)
    wide[key][:, [0, 1, 3, 4, 6, 7]] = batch[key]
  params = tiny.params(model)
  plain, padded = tiny.run(model, params, batch), tiny.run(model, params, wide)
  for name in ("global_embedding", "segment_embedding"):
    ours, theirs = getattr(padded["video"], name), getattr(plain["video"], name)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("changes", KINDS)
def test_rows_without_anything_real_are_zeros_with_finite_gradients(
    changes: dict[str, Any],
) -> None:
  model = build.build_model(tiny.config(changes))
  params = tiny.params(model)
  batch = _batch(changes)
  batch["frame_mask"][1] = batch["text_mask"][1] = False
  batch["frame_mask"][2] = False
  result = jax.tree.map(np.asarray, tiny.run(model, params, batch))
  for side, rows in (("video", [1, 2]), ("text", [1])):
    assert not np.any(result[side].global_embedding[rows])
    assert not np.any(result[side].segment_embedding[rows])
  assert np.all(np.isfinite(result["logits"]))
  value, gradient = tiny.value_and_grad(model, params, batch)
  assert np.isfinite(value)
  assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("remat", ["none", "full"])
def test_scan_and_remat_reach_every_stack(remat: str) -> None:
  depth = {"video.frame_layers": 2, "text.layers": 3, "fusion.layers": 2, **PIXELS}
  plain = build.build_model(tiny.config(depth))
  scanned = build.build_model(tiny.config({**depth, "scan": True, "remat": remat}))
  params, batch = tiny.params(plain), _batch(depth)
  stacked = tiny.stacked(params)
  assert jax.tree.map(jnp.shape, stacked) == jax.tree.map(jnp.shape, tiny.params(scanned))
  expected = tiny.run(plain, params, batch)
  tiny.assert_close(tiny.run(scanned, stacked, batch), expected, atol=1e-5)
  trace = jax.make_jaxpr(lambda p: tiny.scalar(scanned, p, batch))(stacked)
  assert str(trace).count("scan[") == 4
  assert (str(trace).count("checkpoint[") + str(trace).count("remat2[")) == 4 * (remat == "full")


@pytest.mark.parametrize("changes", KINDS)
def test_bfloat16_stays_close_and_keeps_float32_parameters(changes: dict[str, Any]) -> None:
  full = build.build_model(tiny.config(changes))
  half = build.build_model(tiny.config({**changes, "dtype": "bfloat16"}))
  params, batch = tiny.params(full), _batch(changes)
  made = jax.eval_shape(half.init, jax.random.key(0), batch)["params"]
  assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype("float32")}
  expected, actual = tiny.run(full, params, batch), tiny.run(half, params, batch)
  assert actual["video"].states.dtype == jnp.bfloat16
  for side in ("video", "text"):
    assert actual[side].global_embedding.dtype == jnp.float32
    cosine = (actual[side].global_embedding * expected[side].global_embedding).sum(-1)
    assert cosine.min() > 0.99
  assert actual["logits"].dtype == jnp.float32
  error = np.abs(actual["logits"] - expected["logits"]).max()
  assert error < 0.1 * np.abs(expected["logits"]).max()


def test_jit_equals_no_jit() -> None:
  model = build.build_model(tiny.config())
  params, batch = tiny.params(model), tiny.batch()
  plain = model.apply(
      {"params": params},
      *(batch[key] for key in mla.TEXT),
      segments=2,
      train=False,
      method="encode_text",
  )
  tiny.assert_close(tiny.run(model, params, batch)["text"], plain, atol=1e-5)


RANDOM = {
    "dropout": 0.2,
    "video.feature_dropout": 0.2,
    "video.head_hidden": 6,
    "text.token_dropout": 0.2,
}


def test_sharded_equals_one_device() -> None:
  model = build.build_model(tiny.config(RANDOM))
  params, batch, rng = tiny.params(model), tiny.batch(16), jax.random.key(5)
  mesh = sharding.make_mesh(ConfigDict({"data": 8, "fsdp": 1}))
  sharded_batch = jax.device_put(batch, sharding.batch_sharding(mesh))
  one = tiny.run(model, params, batch, rng, train=True)
  sharded_params, sharded_rng = jax.device_put((params, rng), sharding.replicated(mesh))
  eight = tiny.run(model, sharded_params, sharded_batch, sharded_rng, train=True)
  assert eight["video"].global_embedding.sharding.num_devices == 8
  tiny.assert_close(eight, one, atol=1e-5)


def test_dropout_is_a_function_of_its_rng_and_of_training() -> None:
  model = build.build_model(tiny.config(RANDOM))
  params, batch = tiny.params(model), tiny.batch(16)
  first, again, other = (
      tiny.run(model, params, batch, jax.random.key(seed), train=True) for seed in (0, 0, 1)
  )
  tiny.assert_close(first, again, atol=0.0)
  for side in ("video", "text"):
    difference = np.abs(first[side].global_embedding - other[side].global_embedding)
    assert difference.max() > 1e-3
  plain = build.build_model(tiny.config({"video.head_hidden": 6}))
  tiny.assert_close(
      tiny.run(model, params, tiny.batch()), tiny.run(plain, params, tiny.batch()), atol=1e-6
  )


def test_answers_depend_on_the_video() -> None:
  model = build.build_model(tiny.config())
  params, batch = tiny.params(model), tiny.batch()
  other = {**batch, "video": batch["video"] + np.float32(np.arange(10) % 2)}
  logits, changed = (tiny.run(model, params, clips)["logits"] for clips in (batch, other))
  assert np.abs(changed - logits).max() > 1e-2


def test_the_text_only_twin_has_no_part_for_video() -> None:
  twin = build.build_model(tiny.config({"use_video": False}))
  params, batch = tiny.params(twin), tiny.batch()
  assert not [name for name in tiny.named(params) if "video" in name or "cross" in name]
  video = [batch[key] for key in tiny.VIDEO_KEYS]
  with pytest.raises(UserError, match="use_video"):
    twin.apply({"params": params}, *video, segments=1, train=False, method="encode_video")
  model = build.build_model(tiny.config())
  text = tiny.run(model, tiny.params(model), batch)["text"]
  with pytest.raises(UserError, match="use_video"):
    model.apply({"params": tiny.params(model)}, text, None, train=False, method="answer_logits")


@pytest.mark.parametrize("level", ["global", "segment"])
def test_identity_heads_start_in_the_space_of_the_text_encoder(level: str) -> None:
  bert = {"text.kind": "bert", "text.width": 16, "text.identity_heads": True, "embed_dim": 16}
  model = build.build_model(tiny.config(bert))
  batch = tiny.batch()
  fresh = jax.jit(model.init)(jax.random.key(0), batch)["params"]  # tiny.params are not as born.
  text = tiny.run(model, fresh, batch)["text"]
  members = text.mask[:, None] if level == "global" else (
      (batch["text_segment"][:, None] == np.arange(1, 3)[:, None]) & text.mask[:, None])
  mean = np.einsum("bsd,bgs->bgd", text.states, members)
  mean /= np.maximum(np.linalg.norm(mean, axis=-1, keepdims=True), 1e-9)
  actual = text.global_embedding[:, None] if level == "global" else text.segment_embedding
  np.testing.assert_allclose(actual, mean, atol=1e-5)


def test_a_hidden_layer_of_the_video_heads_is_an_mlp_of_what_is_pooled() -> None:
  model = build.build_model(tiny.config({"video.head_hidden": 6}))
  params, batch = jax.tree.map(np.asarray, tiny.params(model)), tiny.batch()
  video = tiny.run(model, params, batch)["video"]
  head = params["heads"]["video_global"]
  pool = pooling.AttentionPool(heads=2)
  pooled = pool.apply({"params": head["pool"]}, video.states, video.mask[:, None])[:, 0]
  hidden = pooled @ head["hidden"]["kernel"] + head["hidden"]["bias"]
  hidden = 0.5 * hidden * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
  expected = hidden @ head["projection"]["kernel"]
  expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
  np.testing.assert_allclose(video.global_embedding, expected, atol=1e-5)
