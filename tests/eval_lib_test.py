"""What an evaluation may change of a run's config, and that what it writes is JSON."""

import math
import pathlib
from typing import Any

from ml_collections import ConfigDict
import pytest

from mla_jax import config_lib, eval_lib
from mla_jax.errors import UserError
from mla_jax.tasks.base import Evaluation
from mla_jax.tasks.registry import make_task

CHOICE = {"task": "multiple_choice_qa", "eval.scoring": "contrastive"}
SEGMENTS = {"loss.global_weight": 0.0}
NOT_ALIGNED = SEGMENTS | {"loss.segment_weight": 0.0}


def asked(folder: pathlib.Path, name: str, trained: dict[str, Any], **changes: Any) -> ConfigDict:
  """The config of an evaluation of a run of `configs/NAME`, of which a task could be made."""
  config = config_lib.load_config(f"configs/{name}", trained)
  config_lib.save_config(config, folder / "config.json")
  found = eval_lib.load_config(
      folder, None, {key.replace("__", "."): value for key, value in changes.items()}
  )
  make_task(found)
  return found


@pytest.mark.parametrize("key", ["global_weight", "segment_weight"])
def test_no_evaluation_changes_what_was_trained(tmp_path: pathlib.Path, key: str) -> None:
  name = "msrvtt_mini_qa.py:debug"
  trained = config_lib.load_config(f"configs/{name}").loss[key]
  said = rf"^loss.{key}=7.0: the run was trained with {trained}.*: leave it out$"
  with pytest.raises(UserError, match=said):
    asked(tmp_path, name, {}, **{f"loss__{key}": "7.0"})
  assert asked(tmp_path, name, {}, **{f"loss__{key}": str(trained)}).loss[key] == trained


def test_a_checkpoint_of_questions_is_ranked_by_what_it_aligned(tmp_path: pathlib.Path) -> None:
  name, task = "msrvtt_mini_qa.py:debug", {"task": "retrieval"}
  asked(tmp_path, name, {}, **task)
  by_segments = {"eval__global_score": "0", "eval__segment_score": "1"}
  asked(tmp_path, name, SEGMENTS, **task, **by_segments)
  with pytest.raises(UserError, match=r"global_score=1.0, loss.global_weight=0: .* not trained"):
    asked(tmp_path, name, SEGMENTS, **task)
  with pytest.raises(UserError, match=r"segment_score=1.0, loss.segment_weight=0: .* not trained"):
    asked(tmp_path, name, NOT_ALIGNED, **task, **by_segments)


def test_candidates_are_chosen_by_a_cosine_that_was_trained(tmp_path: pathlib.Path) -> None:
  scoring = {"eval__scoring": "contrastive"}
  asked(tmp_path, "nextqa.py:debug", {}, **scoring)
  asked(tmp_path, "nextqa.py:debug", NOT_ALIGNED | CHOICE)  # The choice itself trains it.
  said = r"^eval.scoring='contrastive': .* loss.global_weight=0.0"
  with pytest.raises(UserError, match=said):
    asked(tmp_path, "nextqa.py:debug", SEGMENTS, **scoring)
  segments = SEGMENTS | {"eval.global_score": 0.0, "eval.segment_score": 1.0}
  with pytest.raises(UserError, match=said):
    asked(tmp_path, "msrvtt_mini_retrieval.py:debug", segments, **scoring, task=CHOICE["task"])


@pytest.mark.parametrize(("metric", "score"), [(math.nan, 1.0), (1.0, math.nan)])
def test_nothing_is_written_that_is_no_json(
    tmp_path: pathlib.Path, metric: float, score: float
) -> None:
  found = Evaluation({"accuracy": metric}, 0.0, [{"id": "a", "score": score}])
  with pytest.raises(ValueError, match="JSON"):
    eval_lib._write(tmp_path, "name", found.metrics, found)
  assert not list(tmp_path.iterdir())
