"""What cannot be trained ends at the start with one clear line."""

import pytest

from mla_jax import config_lib, train_lib
from mla_jax.errors import UserError
from tests import tiny
from tests.commands import command, run

RETRIEVAL = "msrvtt_mini_retrieval.py:debug"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"data.sources.captions.rows": 1000}, "rows=1000: takes 1 to "),
        ({"data.sources.captions.rows": 0}, "rows=0: takes 1 to "),
        ({"data.dev_fraction": 1 - 1e-9}, "captions: no video is left for training"),
        ({"optimizer.learning_rate": 1e30, "optimizer.clip_norm": 0.0}, "not finite; its batch"),
        ({"optimizer.freeze": ("txt/.*",)}, "matches no parameter"),
        ({"model.video.kind": "pixels"}, "holds features"),
        ({"model.video.feature_width": 7}, "are 16 wide"),
        ({"data.dir": "nowhere"}, "prepare it"),
        ({"data.dir": "gs://bucket/data"}, "data.dir=gs://bucket/data: an address"),
        ({"data.sources.captions.split": "nothing"}, "no split 'nothing'"),
        ({"data.dev_fraction": 0.0001}, "holds no video"),
        ({"task": "retreival"}, "retrieval"),
        ({"loss.segment_variant": "sinkorn"}, "sinkhorn"),
        ({"loss.segment_temperature": 0.0}, "loss.segment_temperature=0.0: must be above 0"),
        ({"loss.global_weight": -1.0}, "loss.global_weight=-1.0: must be 0 or more"),
        ({"model.dropout": 1.0, "model.video.feature_width": 7}, "dropout=1.0: must be from 0"),
        ({"model.text.layers": -2}, "model.text.layers=-2: must be 0 or more"),
        ({"model.text.vocab_size": 10}, "vocab_size"),
        ({"mesh.fsdp": 3}, "mesh"),
        ({"train.micro_batches": 0}, "train.micro_batches=0: must be at least 1"),
        ({"sharding.min_size": -1}, "sharding.min_size=-1: must be 0 or more"),
        ({"train.micro_batches": 3}, "16 rows do not divide over 8 devices times train.micro"),
    ],
)
def test_bad_input_is_one_clear_error(override, message, features, tmp_path):
  config = config_lib.load_config(
      f"configs/{RETRIEVAL}",
      {
          "data.dir": str(features),
          "data.dev_fraction": 0.3,
          "model.video.feature_width": tiny.FEATURES,
      }
      | override,
  )
  with pytest.raises(UserError, match=message) as error:
    train_lib.train(config, tmp_path)
  assert "\n" not in str(error.value)
  assert not list((tmp_path / "checkpoints").glob("[0-9]*"))
  assert not (tmp_path / "config.json").exists()  # The mended command may have the workdir.


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--config.data.bach_size=3"], "no such key"),
        (["--config.train.steps=abc"], "train.steps"),
        (["--workdir=/proc/nowhere"], "/proc/nowhere"),
        (["--mode=eval", "--workdir=nothing"], "holds no run"),
    ],
)
def test_a_bad_command_line_is_one_line_and_an_exit_code(more, message, features, tmp_path):
  found = run(command(RETRIEVAL, features, tmp_path, *more))
  assert found.returncode != 0
  assert "Traceback" not in found.stderr
  errors = [line for line in found.stderr.splitlines() if line.startswith("error:")]
  assert len(errors) == 1, found.stderr[-2000:]
  assert message in errors[0]
