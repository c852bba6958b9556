"""What is large and whole is reported by name, and rules that split nothing."""

import jax
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict
import numpy as np
import optax
import pytest

from mla_jax import sharding, sharding_lint, train_state
from mla_jax.sharding_lint import lint

P = PartitionSpec
SHAPES = {"text/embedding": (1001, 301), "text/kernel": (64, 512), "text/bias": (512,), "scale": ()}


def _findings(rules: sharding.Rules, *, fsdp: int = 4, tx=None, most_bytes: int = 50_000):
  mesh = sharding.make_mesh(ConfigDict({"data": -1, "fsdp": fsdp}))

  def init():
    made = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    text = {name.removeprefix("text/"): value for name, value in made.items() if "/" in name}
    return jax.tree.map(jax.numpy.asarray, {"text": text, "scale": made["scale"]})

  tx = tx or optax.adam(1e-3)
  state = train_state.abstract_train_state(init, tx, mesh, rules, ema=True)
  return lint(state, state.params, rules, mesh, most_bytes=most_bytes)


def test_a_large_parameter_that_does_not_divide_is_named_with_all_its_copies() -> None:
  found = _findings([(".*", sharding.Fsdp(1000))])
  names = [line.split(":")[0] for line in found]
  assert names == [
      "params/text/embedding",
      "opt_state/0/mu/text/embedding",
      "opt_state/0/nu/text/embedding",
      "ema_params/text/embedding",
  ]
  assert "(1001, 301), 1.2 MB" in found[0]
  assert "none of its dimensions divides over mesh.fsdp=4" in found[0]


def test_a_large_parameter_that_no_rule_splits_is_named() -> None:
  found = _findings([("text/kernel", P()), (".*", sharding.Fsdp(1000))])
  assert any(
      line.startswith("params/text/kernel") and "no rule splits it" in line
      for line in found
  )


def test_factored_moments_of_a_split_parameter_are_looked_at_too() -> None:
  tx = optax.scale_by_factored_rms(min_dim_size_to_factor=64)
  found = _findings([(".*", sharding.Fsdp())], tx=tx, most_bytes=1200)
  assert [line.split(":")[0] for line in found if "v_col/text/kernel" in line]


def test_a_rule_that_splits_nothing_is_named() -> None:
  rules = [("text/embedding", P()), ("text/bias|scale", sharding.Fsdp(1000)), (".*", P("fsdp"))]
  (idle,) = [line for line in _findings(rules) if line.startswith("sharding.rules")]
  assert "'text/bias|scale' splits none of the 2 parameters" in idle


def test_a_large_state_that_no_axis_splits_is_one_line(monkeypatch) -> None:
  size = 4 * 4 * (1001 * 301 + 64 * 512 + 512 + 1)  # Two moments and an average.
  monkeypatch.setattr(sharding_lint, "_LARGE_STATE", size)
  (line,) = _findings(sharding.REPLICATED, fsdp=1)
  assert line.startswith("state: 0.0 GB are whole on each of 8 devices")
  largest = line.partition("the largest are ")[2].split(", ")
  assert len(largest) == 3 and all(name.endswith("embedding") for name in largest)
  monkeypatch.setattr(sharding_lint, "_LARGE_STATE", 2 * size)
  assert _findings(sharding.REPLICATED, fsdp=1) == []


@pytest.mark.parametrize("most_bytes", [0, 10**9])
def test_nothing_is_found_where_nothing_is_to_be_split(most_bytes: int) -> None:
  assert _findings(sharding.REPLICATED, fsdp=1, most_bytes=most_bytes) == []


def test_all_is_well() -> None:
  assert _findings([(".*", sharding.Fsdp())], most_bytes=10**7) == []
