"""What every task takes from the config: numbers no evaluation could use are found at the start."""

import pytest

from configs import common
from mla_jax.errors import UserError
from mla_jax.tasks.base import Sizes


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("eval.batch_size", 0, "at least 1"),
        ("eval.batch_size", -4, "at least 1"),
        ("eval.bootstrap", 0, "at least 1"),
        ("eval.examples", -3, "0 or more"),
        ("eval.global_score", -1.0, "0 or more"),
        ("eval.segment_score", -1.0, "0 or more"),
        ("eval.regression_score", float("inf"), "0 or more"),
        ("data.candidates", 0, "at least 1"),
    ],
)
def test_a_number_no_evaluation_could_use_is_refused(
    key: str, value: float, wanted: str
) -> None:
  config = common.base("test", "retrieval")
  config.update_from_flattened_dict({key: value})
  with pytest.raises(UserError, match=rf"^{key}={value}: must be {wanted}$"):
    Sizes.from_config(config)


def test_a_report_may_have_no_example() -> None:
  config = common.base("test", "retrieval")
  config.eval.examples = 0
  Sizes.from_config(config)
