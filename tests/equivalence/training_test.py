"""A step and an evaluation on many devices are those of one device, and of plain numpy."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from mla_jax import config_lib, sharding, train_step
from mla_jax import run as run_lib
from mla_jax.data import pipeline, sources
from mla_jax.run import Run
from mla_jax.tasks.encode import apply, encode_text, encode_video
from tests import tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  # 37 evaluated texts: 12 of 49 videos are `validate`, with three captions, and one more.
  return tiny.prepare(tmp_path_factory.mktemp("training"), videos=49)


def open_run(name, data, workdir, devices, **changes) -> Run:
  config = config_lib.load_config(
      f"configs/msrvtt_mini_{name}.py:debug",
      {
          "data.dir": str(data),
          "data.dev_fraction": 0.2,
          "model.video.feature_width": tiny.FEATURES,
          "eval.batch_size": 16,
      }
      | changes,
  )
  workdir.mkdir(exist_ok=True)
  run_lib.start_workdir(config, workdir)
  run = run_lib.open_run(config, workdir)
  mesh = sharding.make_mesh(config.mesh, jax.devices()[:devices])
  evaluate = run.task.evaluator(run.model, mesh, run.reader)
  return dataclasses.replace(run, mesh=mesh, evaluate=evaluate)


def trained(run: Run, steps: int):
  drawn = sources.open_sources(run.config.data, with_video=True)
  training = train_step.make_training(run, drawn)
  state = train_step.new_state(run.model, run.config, run.mesh, training.tx)
  losses = []
  for batch in training.batches(range(steps)):
    state, metrics = training.step(state, batch)
    losses.append({name: float(total) for name, (total, _) in metrics.items()})
  return jax.device_get(state.params), losses


FSDP = {"mesh.data": 2, "mesh.fsdp": -1, "sharding.min_size": 0}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("retrieval", {"data.captions": 2, **FSDP, "model.scan": True, "model.remat": "full"}),
        pytest.param("qa", {"loss.global_kind": "sigmoid"}, marks=pytest.mark.slow),
    ],
)
def test_eight_devices_train_as_one(name, changes, data, tmp_path):
  whole, one = (
      trained(open_run(name, data, tmp_path / str(devices), devices, **changes | mesh), 2)
      for devices, mesh in ((8, {}), (1, {"mesh.data": 1, "mesh.fsdp": -1}))
  )
  for step in range(2):
    assert whole[1][step].keys() == one[1][step].keys()
    for key, value in one[1][step].items():
      assert whole[1][step][key] == pytest.approx(value, rel=2e-5, abs=2e-5), key
  for (path, a), b in zip(
      jax.tree_util.tree_leaves_with_path(one[0]), jax.tree.leaves(whole[0]), strict=True
  ):
    # Adam's first steps divide by the gradient's size: rounding of a tiny gradient shows.
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4, err_msg=str(path))


def test_37_texts_in_batches_of_16_on_4_devices_are_the_numpy_reference(data, tmp_path):
  run = open_run("retrieval", data, tmp_path / "run", 4)
  params = train_step.init_params(run.model, run.config)()
  texts = sources.open_texts(run.config.data, "retrieval", "validate", with_video=True)
  extra = sources.open_texts(run.config.data, "retrieval", "train", with_video=True)
  assert len(texts.items) == 36
  texts = dataclasses.replace(
      extra, items=np.arange(37), videos=extra.videos[:37]
  )
  evaluation = run.evaluate(params, texts)
  found = evaluation.metrics["text_to_video"]

  def embed(encode, batches):
    rows = []
    for batch in batches:
      function = functools.partial(encode, batch=batch, segments=2, train=False)
      encoded = apply(run.model, params, function)
      rows.append(np.asarray(encoded.global_embedding)[batch["mask"]])
    return np.concatenate(rows)

  text = embed(encode_text, pipeline.text_batches(run.reader, texts, 1))
  video = embed(encode_video, pipeline.video_batches(run.reader, texts, 1))
  owner = np.unique(texts.videos, return_inverse=True)[1]
  scores = text @ video.T
  ranks = np.array([row["rank"] for row in evaluation.rows])
  assert found["queries"] == len(ranks) == 37
  assert found["gallery"] == len(video)
  # Batches of other sizes round otherwise: what is closer than that may stand on either side.
  above = scores - scores[np.arange(37), owner][:, np.newaxis]
  assert (1 + (above > 1e-5).sum(axis=1) <= ranks).all()
  assert (ranks <= (above > -1e-5).sum(axis=1)).all()
  assert (np.abs(above) < 1e-5).sum() < 2 * 37  # Their own among them: few are.
  assert found["mean_rank"] == pytest.approx(ranks.mean())
  assert found["recall_at_5"] == pytest.approx(100 * np.mean(ranks <= 5))


def test_an_evaluation_that_loses_an_example_fails(data, tmp_path, monkeypatch):
  run = open_run("retrieval", data, tmp_path / "run", 4)
  params = train_step.init_params(run.model, run.config)()
  texts = sources.open_texts(run.config.data, "retrieval", "validate", with_video=True)
  whole = pipeline.text_batches

  def without_the_last(*args, **kwargs):
    return iter(list(whole(*args, **kwargs))[:-1])

  monkeypatch.setattr(pipeline, "text_batches", without_the_last)
  with pytest.raises(config_lib.UserError, match="missing"):
    run.evaluate(params, texts)
