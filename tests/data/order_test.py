"""The order of training: every unit once an epoch, a pure function of (seed, step)."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

from mla_jax.data import order


def _units(step: int, **kwargs: int) -> list[int]:
  return order.units_at_step(tf.constant(step, tf.int64), **kwargs).numpy().tolist()


@given(st.integers(1, 40), st.integers(0, 1000), st.integers(0, 3), st.data())
def test_epochs_laid_end_to_end_hold_every_unit_once(units, seed, stream, data):
  rows = data.draw(st.integers(1, units))
  kwargs = {"seed": seed, "stream": stream, "rows": rows, "units": units}
  steps = -(-2 * units // rows)
  seen = [unit for step in range(steps) for unit in _units(step, **kwargs)]
  assert sorted(seen[:units]) == list(range(units))
  assert sorted(seen[units : 2 * units]) == list(range(units))


def test_any_step_is_the_same_without_the_steps_before_it():
  kwargs = {"seed": 3, "stream": 0, "rows": 7, "units": 50}
  walked = [_units(step, **kwargs) for step in range(30)]
  assert _units(29, **kwargs) == walked[29]
  assert _units(11, **kwargs) == walked[11]


def test_seeds_streams_and_epochs_give_different_orders():
  base = {"seed": 0, "stream": 0, "rows": 100, "units": 100}
  first = _units(0, **base)
  assert first != _units(1, **base)  # The next epoch.
  assert first != _units(0, **(base | {"seed": 1}))
  assert first != _units(0, **(base | {"stream": 1}))


def test_the_order_is_spread_evenly():
  """Each unit stands first about equally often: no unit is favoured by the permutation."""
  kwargs = {"stream": 0, "rows": 1, "units": 5}
  firsts = [_units(0, seed=seed, **kwargs)[0] for seed in range(500)]
  counts = np.bincount(firsts, minlength=5)
  assert counts.min() > 60 and counts.max() < 140
