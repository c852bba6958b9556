"""Every key of a config makes the model, and one that no model fits is refused."""

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


def test_identity_heads_need_one_width() -> None:
  bert = {"text.kind": "bert", "text.width": 16, "text.identity_heads": True}
  with pytest.raises(UserError, match="embed_dim 12 must be the same"):
    build.build_model(tiny.config(bert))
