"""The analytic count against XLA's own, on models whose layers are not in a loop."""

from typing import Any

import jax
import pytest

from configs import common, variants
from mla_jax import config_lib, flops
from mla_jax.data import batch_spec
from mla_jax.models.build import build_model
from mla_jax.sharding import make_mesh
from mla_jax.tasks.registry import make_task
from mla_jax.train_step import init_params

ROWS = 4


def _config(task: str, changes: dict[str, Any]) -> Any:
  config = common.base("test", task)
  config.data.sources = {"texts": common.source("texts", "train", ROWS)}
  config.model.num_answers = 0 if task == "retrieval" else 500
  config.model.width = config.model.embed_dim = 384
  config.model.dropout = 0.0  # Its bits are no FLOPs of the model.
  config.update_from_flattened_dict(changes)
  return config


PIXELS = {"model.video.kind": "pixels", "data.image_size": 64, "model.video.motion": True}
NOT_ALIGNED = {"loss.global_weight": 0.0, "loss.segment_weight": 0.0}
SEGMENTS = {"loss.global_weight": 0.0, "eval.global_score": 0.0, "eval.segment_score": 1.0}
BERT = {"model.text.kind": "bert", "model.text.width": 384}
REGRESSOR = BERT | {"model.text.identity_heads": True, "model.video.regressor_hidden": 2048}
FROZEN = BERT | {"model.text.frozen_layers": 0, "model.text.pretrained": "a folder"}
WORDS = FROZEN | {"model.fusion.words": True, "model.fusion.hidden": 512}
SPANS = {"model.head": "span", "model.num_answers": 2, "loss.segment_pairing": "timed+latent"}


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("retrieval", {"data.captions": 2, "data.num_frames": 16}),
        ("retrieval", PIXELS | {"loss.segment_weight": 0.0}),
        ("retrieval", {"model.video.head_hidden": 1536, "data.captions": 2}),
        ("retrieval", BERT | {"loss.segment_weight": 0.0}),
        ("retrieval", REGRESSOR | {"data.captions": 2, "model.text.layers": 1}),
        ("open_ended_qa", PIXELS | {"model.video.frame_layers": 1}),
        ("open_ended_qa", {"model.fusion.layers": 4, "model.video.temporal_layers": 3}),
        ("open_ended_qa", {"model.fusion.kind": "late", "data.num_frames": 16}),
        ("open_ended_qa", {"model.fusion.kind": "late", "model.fusion.hidden": 512}),
        ("open_ended_qa", {"model.fusion.kind": "gated", "model.fusion.hidden": 512}),
        ("open_ended_qa", WORDS | {"model.fusion.kind": "gated", "data.text_length": 4}),
        ("open_ended_qa", WORDS | {"model.fusion.kind": "late", "data.text_length": 4}),
        ("open_ended_qa", NOT_ALIGNED | {"model.use_video": False}),
        ("multiple_choice_qa", {"model.num_answers": 1, "data.candidates": 3}),
        (
            "multiple_choice_qa",
            {"eval.scoring": "contrastive", "data.captions": 2, "loss.segment_weight": 0.0},
        ),
        ("multiple_choice_qa", NOT_ALIGNED | {"eval.scoring": "contrastive"}),
        ("counting", {"model.num_answers": 1, "data.captions": 2}),
        ("counting", NOT_ALIGNED | {"model.num_answers": 10, "model.head": "ordinal"}),
        ("localisation", SPANS | {"data.num_frames": 24, "data.captions": 2}),
        ("localisation", NOT_ALIGNED | SPANS | {"model.fusion.layers": 4}),
        ("localisation", {"eval.scoring": "contrastive", "model.num_answers": 0}),
    ],
)
def test_the_count_is_that_of_xla_within_five_percent(task: str, changes: dict[str, Any]) -> None:
  _check(_config(task, changes))


@pytest.mark.parametrize(
    "weights",
    [
        {"loss.segment_weight": 0.0},
        SEGMENTS | {"loss.segment_pairing": "timed"},
        SEGMENTS | {"loss.segment_pairing": "timed+latent"},
    ],
)
def test_the_count_of_pairs_where_they_are_most_of_it(weights: dict[str, Any]) -> None:
  """A small model whose batch is large."""
  small = {
      "model.width": 16, "model.embed_dim": 256, "data.num_frames": 4, "data.text_length": 4,
      "data.video_segments": 2, "data.text_segments": 2, "loss.impl": "dense",
      "model.text.layers": 0, "model.video.temporal_layers": 0, "model.video.feature_width": 8,
  }
  config = _config("retrieval", small | weights)
  config.data.sources.texts.rows = rows = 512
  pairs = flops.train_step_flops(config, rows)["losses"]
  assert pairs > 0.8 * sum(flops.train_step_flops(config, rows).values())
  _check(config, rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pretrain_webvid", "pretrain_howto100m"])
def test_the_count_of_a_pretraining_config_with_fewer_layers(name: str) -> None:
  """Whole in width, pictures and texts; two layers a stack, not in a loop and not recomputed."""
  layers = {f"model.{key}": 2 for key in ("text.layers", "video.temporal_layers")}
  if name == "pretrain_webvid":
    layers["model.video.frame_layers"] = 2
  plain = {"model.scan": False, "model.remat": "none", "loss.impl": "dense"}
  _check(config_lib.load_config(f"configs/{name}.py", layers | plain), compiled=True)


def _check(config: Any, rows: int = ROWS, *, compiled: bool = False) -> None:
  model, made, mesh = build_model(config.model), make_task(config), make_mesh(config.mesh)
  batch = batch_spec.train_batch(config, rows, answers=made.needs_answers, wanted=made.wanted)
  params = jax.eval_shape(init_params(model, config))

  def loss(params: Any, batch: Any) -> jax.Array:
    return made.loss(model, params, batch, jax.random.key(0), mesh)[0]

  lowered = jax.jit(jax.grad(loss)).lower(params, batch)
  counted = (lowered.compile() if compiled else lowered).cost_analysis()
  assert counted is not None
  found = sum(flops.train_step_flops(config, rows).values())
  assert found == pytest.approx(counted["flops"], rel=0.05)


def test_a_frozen_layer_costs_its_forward_pass_and_nothing_where_its_output_is_kept() -> None:
  config = common.base("test", "retrieval")
  variants.bert_text(config, frozen_layers=6)
  config.data.sources = {"texts": common.source("texts", "train", 8)}

  def text(frozen: int, cache: str | None = None) -> float:
    config.model.text.frozen_layers, config.model.text.cache = frozen, cache
    return flops.train_step_flops(config, 8)["text"]

  project = 3 * 2 * 8 * 34 * 384 * 256
  trained = text(-1) - project
  assert text(6) - project == pytest.approx(trained / 3)
  assert text(6, "cache") == pytest.approx(project)
  assert text(3) - project == pytest.approx(trained * (0.5 + 0.5 / 3))


def test_rows_scale_everything_but_the_pairs() -> None:
  config = _config("open_ended_qa", {})
  one, two = (flops.train_step_flops(config, rows) for rows in (8, 16))
  assert {name: two[name] / one[name] for name in one} == pytest.approx(
      {name: 4.0 if name == "losses" else 2.0 for name in one}
  )
