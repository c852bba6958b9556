"""Every key of a config makes the model, and one that no model fits is refused."""

import math
from typing import Any

import pytest

from configs import common
from mla_jax import config_reads
from mla_jax.errors import UserError
from mla_jax.models import build
from tests.models import tiny


def test_every_key_of_the_config_is_read() -> None:
  recorder = config_reads.record_reads(common.model())
  build.build_model(recorder)
  assert config_reads.unread_keys(recorder) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dtype": "float16"}, r"model.dtype='float16': unknown: .* float32, bfloat16"),
        ({"video.kind": "sound"}, r"model.video.kind='sound': unknown.*features, pixels"),
        ({"text.heads": 3}, r"model.text.heads: 3 does not divide model.width 16"),
        ({"fusion.heads": 0}, r"model.fusion.heads: 0 does not divide"),
    ],
)
def test_a_config_no_model_fits_is_refused(changes: dict[str, Any], said: str) -> None:
  with pytest.raises(UserError, match=said):
    build.build_model(tiny.config(changes))


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        *((key, value, "at least 1") for value in (0, -8) for key in (
            "width", "embed_dim", "video.feature_width", "video.patch_size", "video.max_frames",
            "text.vocab_size", "text.max_length",
        )),
        *((key, -2, "0 or more") for key in (
            "video.frame_layers", "video.temporal_layers", "video.head_hidden",
            "video.regressor_hidden", "text.layers", "text.width", "fusion.layers",
            "fusion.hidden", "num_answers",
        )),
        *((key, value, "from 0 to below 1") for value in (1.0, 1.5, -0.2, math.nan) for key in (
            "dropout", "video.feature_dropout", "video.regressor_dropout", "text.token_dropout",
        )),
    ],
)
def test_a_number_no_model_could_use_is_refused(key: str, value: float, wanted: str) -> None:
  with pytest.raises(UserError, match=rf"^model.{key}={value}: must be {wanted}$"):
    build.build_model(tiny.config({key: value}))


def test_identity_heads_need_one_width() -> None:
  bert = {"text.kind": "bert", "text.width": 16, "text.identity_heads": True}
  with pytest.raises(UserError, match="embed_dim 12 must be the same"):
    build.build_model(tiny.config(bert))
