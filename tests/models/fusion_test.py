"""What fuses pooled sides, against numpy; what holds for every kind is in mla_test.py."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.errors import UserError
from mla_jax.models import build, fusion, layers
from tests.models import tiny

WIDTH, HEADS = 8, 2


def _pooled(params: dict[str, Any], states: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Attention pooling of the real places."""
  scores = states @ params["score"]["kernel"]  # [B, S, H]
  pooled = np.zeros((len(states), WIDTH))
  for row in range(len(states)):
    for head in range(HEADS):
      channels = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
      weights = np.exp(scores[row, mask[row], head])
      pooled[row, channels] = weights / weights.sum() @ states[row, mask[row], channels]
  return pooled


def _side(
    params: dict[str, Any],
    name: str,
    states: np.ndarray,
    mask: np.ndarray,
    words: np.ndarray | None = None,
) -> np.ndarray:
  """Pooled; with a hidden layer normalised, beside the words, and through it."""
  x = _pooled(params[f"{name}pool"], states, mask)
  if f"{name}hidden" in params:
    norm, dense = params[f"{name}norm"], params[f"{name}hidden"]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    x = x * norm["scale"] + norm["bias"]
    x = x if words is None else np.concatenate([x, words], axis=-1)
    x = x @ dense["kernel"] + dense["bias"]
  return x


def _standard(params: dict[str, Any], words: np.ndarray) -> np.ndarray:
  return (words - params["words"]["mean"]) / params["words"]["spread"]


def _gelu(x: np.ndarray) -> np.ndarray:
  return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))


def _fused(
    kind: str, hidden: int, with_video: bool, words: np.ndarray | None = None
) -> tuple[dict[str, Any], tuple[np.ndarray, ...], np.ndarray]:
  """Random parameters, the sides, and what a fusion makes of them."""
  rng = np.random.default_rng(0)
  states, mask = rng.normal(size=(3, 5, WIDTH)), np.arange(5) < np.array([[5], [2], [1]])
  other, other_mask = rng.normal(size=(3, 4, WIDTH)), np.arange(4) < np.array([[1], [4], [3]])
  config = fusion.FusionConfig(kind, layers=0, heads=HEADS, hidden=hidden)
  module = fusion.FUSIONS[kind](layers.Common(WIDTH), config)
  given: tuple[Any, ...] = (other, other_mask, words) if with_video else (None, None, words)
  born = module.init(jax.random.key(0), states, mask, *given, train=False)["params"]
  params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), born)
  fused, fused_mask = module.apply({"params": params}, states, mask, *given, train=False)
  assert fused_mask.tolist() == [[True]] * 3
  return params, (states, mask, other, other_mask), fused[:, 0]


@pytest.mark.parametrize("hidden", [0, 12])
@pytest.mark.parametrize("with_video", [True, False])
def test_late_fusion_is_an_mlp_over_both_sides_pooled(with_video: bool, hidden: int) -> None:
  params, (states, mask, other, other_mask), fused = _fused("late", hidden, with_video)
  x = _gelu(_side(params, "", states, mask))
  if with_video:
    x = np.concatenate([x, _gelu(_side(params, "other_", other, other_mask))], axis=-1)
  assert x.shape[-1] == (hidden or WIDTH) * (1 + with_video)
  expected = _gelu(x @ params["mix"]["kernel"] + params["mix"]["bias"])
  np.testing.assert_allclose(fused, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hidden", [0, 12])
@pytest.mark.parametrize("with_video", [True, False])
def test_the_text_gates_each_unit_of_the_video(with_video: bool, hidden: int) -> None:
  params, (states, mask, other, other_mask), fused = _fused("gated", hidden, with_video)
  assert fused.shape == (3, hidden or WIDTH)
  x = _side(params, "", states, mask)
  if with_video:
    named = {"gatepool": params["pool"], "gatenorm": params["norm"], "gatehidden": params["gate"]}
    gate = _side(named, "gate", states, mask)
    x += 2 / (1 + np.exp(-gate)) * _side(params, "other_", other, other_mask)
  np.testing.assert_allclose(fused, _gelu(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("with_video", [True, False])
@pytest.mark.parametrize(("kind", "hidden"), [("late", 0), ("late", 12), ("gated", 12)])
def test_words_stand_beside_the_text_standardised(
    kind: str, hidden: int, with_video: bool
) -> None:
  words = np.random.default_rng(1).normal(size=(3, 5))
  params, (states, mask, other, other_mask), fused = _fused(kind, hidden, with_video, words)
  seen = _standard(params, words)
  x = _side(params, "", states, mask, seen)
  if kind == "gated":
    if with_video:
      named = {"pool": params["pool"], "norm": params["norm"], "hidden": params["gate"]}
      gate = 2 / (1 + np.exp(-_side(named, "", states, mask, seen)))
      x += gate * _side(params, "other_", other, other_mask)
  else:
    x = _gelu(x) if hidden else np.concatenate([_gelu(x), seen], axis=-1)
    if with_video:
      x = np.concatenate([x, _gelu(_side(params, "other_", other, other_mask))], axis=-1)
    x = x @ params["mix"]["kernel"] + params["mix"]["bias"]
  np.testing.assert_allclose(fused, _gelu(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["late", "gated"])
def test_a_model_that_pools_both_sides_answers_by_the_video(kind: str) -> None:
  changes = {"fusion.kind": kind, "video.temporal_layers": 0}
  model = build.build_model(tiny.config(changes))
  params, batch = tiny.params(model), tiny.batch()
  other = {**batch, "video": batch["video"] + np.float32(np.arange(10) % 2)}
  logits, changed = (tiny.run(model, params, clips)["logits"] for clips in (batch, other))
  assert np.abs(changed - logits).max() > 1e-2
  names = tiny.named(params)
  assert [name for name in names if name.startswith("fusion/other_pool")]
  assert not [name for name in names if "cross_attention" in name]


def test_its_twin_without_video_has_half_the_mlp() -> None:
  def mix(use_video: bool) -> tuple[int, ...]:
    changes = {"fusion.kind": "late", "use_video": use_video}
    params = tiny.params(build.build_model(tiny.config(changes)))
    return jnp.shape(tiny.named(params)["fusion/mix/kernel"])

  assert mix(True) == (32, 16)
  assert mix(False) == (16, 16)


@pytest.mark.parametrize("kind", ["late", "gated"])
def test_what_is_pooled_keeps_no_frame_for_spans(kind: str) -> None:
  with pytest.raises(UserError, match=rf"model.fusion.kind='{kind}'.*use 'cross'"):
    build.build_model(tiny.config({"fusion.kind": kind, "head": "span", "num_answers": 2}))
  with pytest.raises(UserError, match=r"model.fusion.kind='early': unknown.*cross, late"):
    build.build_model(tiny.config({"fusion.kind": "early"}))


def test_the_head_reads_a_hidden_width_of_its_own() -> None:
  params = tiny.params(
      build.build_model(tiny.config({"fusion.kind": "late", "fusion.hidden": 24}))
  )
  assert jnp.shape(tiny.named(params)["fusion/mix/kernel"]) == (48, 24)
  assert jnp.shape(tiny.named(params)["heads/answer/logits/kernel"])[0] == 24
  with pytest.raises(UserError, match=r"model\.fusion\.heads: 2 does not divide"):
    build.build_model(tiny.config({"fusion.kind": "late", "fusion.hidden": 25}))
