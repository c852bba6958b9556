"""The planned batch is the pipeline's, of every task and kind of row."""

from collections.abc import Callable
import pathlib
from typing import Any

import pytest

from mla_jax import config_lib, train_step
from mla_jax import run as run_lib
from mla_jax.data import sources
from mla_jax.planner.compile import abstract_batch
from tests import tiny

OTHERS = ("tgif_qa_action", "tgif_qa_count", "charades_sta")
TIMED = {"data.sources.captions.texts": "timed_captions"}
RUNS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("msrvtt_mini_retrieval.py:debug", "features", {"data.captions": 2}),
    ("msrvtt_mini_retrieval.py:pixels,debug", "frames", {}),
    ("msrvtt_mini_qa.py:debug", "features", {}),
    ("msrvtt_mini_qa.py:no_video,debug", "features", {}),
    # Questions with a paragraph and timed sentences beside, in pixels.
    ("demo.py:debug", "frames", {"data.sources.questions.split": "train"}),
    # Paragraphs with timed segments; single timed sentences of them, several a row.
    ("activitynet_retrieval.py:features,debug", "features", TIMED),
    (
        "activitynet_retrieval.py:features,debug",
        "features",
        TIMED | {"data.sources.captions.sentences": 1, "data.captions": 3},
    ),
    ("tgif_qa_action.py:features,debug", "features", {}),
    ("tgif_qa_action.py:features,no_video,debug", "features", {}),
    ("tgif_qa_action.py:debug", "frames", {"data.captions": 2, "data.candidates": 7}),
    ("tgif_qa_count.py:features,debug", "features", {}),
    ("tgif_qa_count.py:features,ordinal,debug", "features", {"data.captions": 2}),
    ("charades_sta.py:features,debug", "features", {}),  # A head for spans.
    ("charades_sta.py:debug", "frames", {}),
    ("msrvtt_mini_moments.py:debug", "features", {}),  # By similarity, three queries a row.
    ("msrvtt_mini_moments.py:span,debug", "features", {}),
    # Trains on questions, whose answers are aligned though only moments are evaluated.
    ("nextgqa.py:features,debug", "features", {"data.dev_split": "", "data.eval_texts": "qa"}),
    ("qvhighlights.py:features,debug", "features", {}),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], pathlib.Path]:
  """All tiny texts in one family, of features or frames, made when first asked for."""
  made: dict[str, pathlib.Path] = {}

  def prepare(media: str) -> pathlib.Path:
    if media not in made:
      root, datasets = tmp_path_factory.mktemp(media), (*tiny.MSRVTT, *OTHERS)
      made[media] = tiny.prepare(root, media=media, videos=24, datasets=datasets)
    return made[media]

  return prepare


def _training(
    path: str, data: pathlib.Path, workdir: pathlib.Path, changes: dict[str, Any]
) -> train_step.Training:
  """What trains; nothing is compiled."""
  fixed = {
      "data.dir": str(data),
      "data.family": "msrvtt",
      "data.dev_fraction": 0.2,
      "model.video.feature_width": tiny.FEATURES,
  }
  config = config_lib.load_config(f"configs/{path}", fixed | changes)
  workdir.mkdir()
  run_lib.start_workdir(config, workdir)
  run = run_lib.open_run(config, workdir)
  drawn = sources.open_sources(config.data, with_video=config.model.use_video)
  return train_step.make_training(run, drawn)


@pytest.mark.parametrize(("path", "media", "changes"), RUNS, ids=[path for path, _, _ in RUNS])
def test_the_planned_batch_is_the_pipelines(
    path: str,
    media: str,
    changes: dict[str, Any],
    prepared: Callable[[str], pathlib.Path],
    tmp_path: pathlib.Path,
) -> None:
  training = _training(path, prepared(media), tmp_path / "run", changes)
  batch = next(training.batches(range(1)))
  run = training.run
  planned = abstract_batch(run.config, training.rows, run.task, run.mesh)
  assert _looks(batch) == _looks(planned)


def _looks(batch: dict[str, Any]) -> dict[str, Any]:
  """All that a compiled step knows of its batch."""
  return {name: (field.shape, field.dtype, field.sharding) for name, field in batch.items()}
