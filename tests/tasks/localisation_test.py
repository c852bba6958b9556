"""Moments: losses and scores against numpy, windows against the encoder, protocols by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import common
from mla_jax.data.record_format import TextRecord
from mla_jax.errors import UserError
from mla_jax.evals import didemo
from mla_jax.models import build
from mla_jax.sharding import make_mesh
from mla_jax.tasks import moment_protocols, windows
from mla_jax.tasks.localisation import Localisation, span_loss, span_scores
from mla_jax.tasks.moment_protocols import Proposals
from tests.models import tiny


def config(scoring: str = "head", **changes):
  found = common.base("test", "localisation")
  found.model = tiny.config({"head": "span", "num_answers": 2, **changes})
  found.data.video_segments, found.data.text_segments = 3, 2
  found.eval.scoring = scoring
  return found


def batch(rows: int = 4):
  fields = tiny.batch(rows)
  start = np.arange(6, dtype=np.float32)
  span = np.where(fields["frame_mask"][..., None], np.stack([start, start + 1], 1), 0.0)
  moment = np.array([[0.0, 1.0], [0.5, 1.5], [np.nan, np.nan], [1.0, 9.0]], np.float32)
  return fields | {
      "frame_span": span.astype(np.float32),
      "moment": moment[:rows],
      "video_key": np.arange(rows),
      "mask": np.ones(rows, bool),
      "overlap": np.full((rows, 3, 2), -1.0),
  }


def test_the_span_loss_is_that_of_the_frames_a_moment_starts_and_ends_in():
  logits = np.random.default_rng(0).normal(size=(5, 4, 2)).astype(np.float32)
  mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
  span = np.stack([2.0 * np.arange(4), 2.0 * np.arange(4) + 2], axis=1)
  span = np.where(mask[..., None], span, 0.0)
  moment = np.array([[2, 4], [1.9, 4.1], [3.5, 9], [np.nan, np.nan], [0, 1]])
  frames = [(1, 1), (0, 2), (1, 1)]  # An end on a frame's edge belongs to the frame before.
  losses = []
  for row, wanted in enumerate(frames):
    for side, place in enumerate(wanted):
      x = logits[row, mask[row], side].astype(np.float64)
      losses.append(np.log(np.exp(x).sum()) - x[place])

  def loss(x):
    return span_loss(x, jnp.asarray(span), jnp.asarray(mask), jnp.asarray(moment))[0]

  value, grads = jax.value_and_grad(loss)(jnp.asarray(logits))
  assert float(value) == pytest.approx(np.mean(losses), rel=1e-5)
  assert np.isfinite(grads).all()
  assert not np.any(np.asarray(grads)[~mask])
  assert not np.any(np.asarray(grads)[3:])


def test_a_span_scores_its_first_start_and_its_last_end():
  logits = np.random.default_rng(1).normal(size=(1, 5, 2)).astype(np.float32)
  mask = np.array([[True] * 4 + [False]])
  inside = np.array([[[0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0]]], bool)
  log_p = logits[0, :4] - np.log(np.exp(logits[0, :4]).sum(0))
  expected = [log_p[i, 0] + log_p[j, 1] for i, j in ((1, 2), (0, 0), (0, 3))]
  found = span_scores(jnp.asarray(logits), jnp.asarray(mask), jnp.asarray(inside))
  np.testing.assert_allclose(found[0], expected, rtol=1e-5)


NO_WINDOWS = np.zeros((0, 2), np.float32)


def propose(found, fields, fixed=NO_WINDOWS):
  task, model = Localisation.from_config(found), build.build_model(found.model)
  params = tiny.params(model)
  proposed = model.apply(
      {"params": params}, method=lambda module: task._propose(module, fields, jnp.asarray(fixed))
  )
  return model, params, jax.device_get(proposed)


@pytest.mark.parametrize("level", ["global", "segment"])
def test_a_window_scores_as_the_video_segment_of_its_frames(level):
  found = config("contrastive", num_answers=0)
  weights = {"global": (1.0, 0.0), "segment": (0.0, 1.0)}[level]
  found.loss.global_weight, found.loss.segment_weight = weights
  fields = batch()
  model, params, proposed = propose(found, fields)
  places = windows.sliding_places(6)
  for w in (0, 7, len(places) - 1):
    start, end = places[w]
    chosen = (np.arange(6) >= start) & (np.arange(6) < end) & fields["frame_mask"]
    alone = fields | {
        "frame_segment": chosen.astype(np.int32),
        "text_segment": fields["text_mask"].astype(np.int32),
    }
    out = tiny.run(model, params, alone, segments=(1, 1))
    if level == "segment":
      cosine = (out["video"].segment_embedding[:, 0] * out["text"].segment_embedding[:, 0]).sum(-1)
    elif w < len(places) - 1:
      continue  # The global head pools whole clips in `encode_video`.
    else:
      cosine = (out["video"].global_embedding * out["text"].global_embedding).sum(-1)
    real = proposed["real"][:, w]
    assert real.any()
    np.testing.assert_allclose(proposed["scores"][real, w], cosine[real], atol=1e-5)


def test_the_head_has_the_last_word_over_windows_and_learns():
  found, fields = config(), batch()
  task = Localisation.from_config(found)
  model, params, proposed = propose(found, fields, np.array([[0, 2], [1, 2]], np.float32))
  assert proposed["fixed"].shape == (4, 2)
  assert proposed["end"].tolist() == fields["frame_mask"].sum(1).tolist()
  assert np.isfinite(proposed["scores"]).all()
  mesh = make_mesh(found.mesh)

  @jax.jit  # One program and not one for each operation.
  def value_and_gradient(params):
    return jax.value_and_grad(
        lambda p: task.loss(model, p, fields, jax.random.key(0), mesh), has_aux=True
    )(params)

  (_, metrics), grads = value_and_gradient(params)
  assert {"loss/span", "loss/global"} <= set(metrics)
  assert np.any(np.asarray(grads["heads"]["span"]["logits"]["kernel"]))


@pytest.mark.parametrize(
    ("changes", "more", "message"),
    [
        ({"num_answers": 0}, {}, "scoring=contrastive"),
        ({"num_answers": 7, "head": "answer"}, {}, "scoring=contrastive"),
        ({"use_video": False}, {}, "needs the video"),
        ({}, {"eval.moments": "window"}, "did you mean"),
        ({}, {"eval.nms": 2.0}, "eval.nms"),
        (
            {},
            {"eval.scoring": "contrastive", "loss.global_weight": 0.0, "loss.segment_weight": 0.0},
            "nothing was aligned",
        ),
    ],
)
def test_what_cannot_localise_says_so(changes, more, message):
  found = config(**changes)
  found.update_from_flattened_dict(more)
  with pytest.raises(UserError, match=message):
    Localisation.from_config(found)


def record(name: str, *moments, duration=30.0, **more) -> TextRecord:
  return TextRecord(name, f"v{name}", 0, "a", moments=moments, duration=duration, **more)


def proposals(queries: int, fixed: int = 0) -> Proposals:
  """Three windows a query: [0, 10], [9, 19], [0, 11]; the last scores worst."""
  return Proposals(
      windows=np.tile(np.array([[0, 10], [9, 19], [0, 11]], np.float32), (queries, 1, 1)),
      scores=np.tile(np.array([2.0, 3.0, 1.0], np.float32), (queries, 1)),
      real=np.ones((queries, 3), bool),
      end=np.full(queries, 30.0),
      fixed=np.zeros((queries, fixed)),
  )


def test_recall_after_suppression_beside_the_blind_baselines():
  records = [record("1", (0.0, 10.0)), record("2", (9.0, 19.0)), record("3", (0.0, 30.0))]
  found = moment_protocols.one_moment(records, proposals(3), 0.5, 10)
  metrics = found.metrics
  assert metrics["recall_at_1_iou_0.7"] == pytest.approx(100 / 3)
  assert metrics["recall_at_5_iou_0.7"] == pytest.approx(200 / 3)
  assert found.first.tolist() == [[9, 19]] * 3
  assert metrics["baselines"]["whole_video"]["mean_iou"] == pytest.approx(100 * (1 + 2 / 3) / 3)
  middle = 7.5 + np.array([0.0, 15.0])  # Of 30 s.
  iou = [2.5 / 22.5, 10 / 15, 0.5]
  assert middle.tolist() == [7.5, 22.5]
  assert metrics["baselines"]["middle"]["mean_iou"] == pytest.approx(100 * np.mean(iou))
  several = [record("1", (0.0, 10.0), (12.0, 13.0))]
  with pytest.raises(UserError, match="2 moments"):
    moment_protocols.one_moment(several, proposals(1), 0.5, 10)


def test_didemos_moments_are_ranked_inside_the_video():
  records = [record("1", *[(5.0, 15.0)] * 4), record("2", *[(0.0, 5.0)] * 4, duration=10.0)]
  assert moment_protocols.fixed_windows("didemo", records).shape == (21, 2)
  scores = np.zeros((2, 21))
  scores[0, didemo.MOMENTS.index((1, 2))] = 1.0
  scores[1, didemo.MOMENTS.index((0, 0))] = 1.0
  scores[1, didemo.MOMENTS.index((3, 4))] = 2.0  # Behind the end of a video of two chunks.
  given = dataclasses.replace(proposals(2), fixed=scores)
  found = moment_protocols.didemo_moments(records, given, 0.5, 10)
  assert found.metrics["rank_at_1"] == 100.0
  assert found.first.tolist() == [[5, 15], [0, 5]]
  assert found.metrics["baselines"]["whole_video"]["rank_at_1"] == 0.0
  with pytest.raises(UserError, match="no chunks of 5 s"):
    moment_protocols.didemo_moments([record("1", (1.0, 5.0))], proposals(1, 21), 0.5, 10)


def test_qvhighlights_scores_windows_and_clips():
  more = {"saliency": ((0, 4, 4, 4), (1, 4, 4, 4), (2, 4, 4, 4))}
  records = [record("1", (9.0, 19.0), **more), record("2", (20.0, 24.0), duration=24.0, **more)]
  fixed = moment_protocols.fixed_windows("qvhighlights", records)
  assert fixed.shape == (15, 2) and fixed[-1].tolist() == [28, 30]
  given = dataclasses.replace(proposals(2), fixed=np.tile(-np.arange(15.0), (2, 1)))
  metrics = moment_protocols.highlight_moments(records, given, 0.7, 10).metrics
  assert metrics["brief"]["MR-full-R1@0.5"] == 50.0
  assert metrics["brief"]["HL-min-VeryGood-Hit1"] == 100.0
  assert metrics["brief"]["HL-min-VeryGood-mAP"] == 100.0
  assert metrics["baselines"]["middle"]["brief"]["HL-min-VeryGood-mAP"] < 60
  with pytest.raises(UserError, match="length is not in the annotations"):
    moment_protocols.fixed_windows("qvhighlights", [record("1", (0.0, 1.0), duration=np.nan)])


def test_a_questions_evidence_is_one_of_several_moments():
  """NExT-GQA: the first window counts, [9, 19], with the moment it meets best."""
  records = [record("1", (0.0, 2.0), (9.0, 29.0)), record("2", (20.0, 30.0))]
  assert moment_protocols.fixed_windows("nextgqa", records).shape == (0, 2)
  found = moment_protocols.grounded_questions(records, proposals(2), 0.5, 10)
  assert found.first.tolist() == [[9, 19]] * 2
  assert found.metrics["mean_iop"] == 50.0
  assert found.metrics["mean_iou"] == found.main == pytest.approx(100 * 0.5 / 2)
  blind = found.metrics["baselines"]["whole_video"]
  assert blind["mean_iou"] == pytest.approx(100 * (20 / 30 + 10 / 30) / 2)
