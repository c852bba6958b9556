import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mla_jax.models import scales


def test_scales_start_where_the_config_says_and_stop_at_100() -> None:
  module = scales.LearnedScales(init_temperature=0.5, init_bias=-3.0)
  found, _ = module.init_with_output(jax.random.key(0))
  np.testing.assert_allclose(jnp.exp(found.global_log_scale), 2.0, rtol=1e-6)
  np.testing.assert_allclose(jnp.exp(found.segment_log_scale), 2.0, rtol=1e-6)
  assert found.global_bias == -3.0
  np.testing.assert_allclose(jnp.exp(scales.clip_log_scale(jnp.float32(9.0))), 100.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "slope", "expected"),
    [(1.0, 2.0, 2.0), (1.0, -2.0, -2.0), (9.0, 2.0, 2.0), (9.0, -2.0, 0.0)],
)
def test_a_scale_past_its_limit_can_come_back(x: float, slope: float, expected: float) -> None:
  assert jax.grad(lambda x: slope * scales.clip_log_scale(x))(x) == expected
