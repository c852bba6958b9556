import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import jax
from jax.sharding import AxisType, Mesh, PartitionSpec
from ml_collections import ConfigDict
import numpy as np
import optax
import pytest

from mla_jax import sharding
from mla_jax.errors import UserError

P = PartitionSpec


def _mesh(data: int = 4, fsdp: int = 2) -> Mesh:
  return sharding.make_mesh(ConfigDict({"data": data, "fsdp": fsdp}))


def _shape(*shape: int) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape, np.float32)


PARAMS = {
    "video": {"dense": {"kernel": _shape(8, 6), "bias": _shape(6)}},
    "text": {"embedding": _shape(10, 8)},
    "log_scale": _shape(),
}


@pytest.mark.parametrize(
    ("data", "fsdp", "expected"),
    [(-1, 1, (8, 1)), (-1, 4, (2, 4)), (2, -1, (2, 4)), (4, 2, (4, 2)), (1, -1, (1, 8))],
)
def test_mesh_takes_all_devices(data: int, fsdp: int, expected: tuple[int, int]) -> None:
  mesh = _mesh(data, fsdp)
  assert tuple(mesh.shape.values()) == expected
  assert mesh.axis_names == ("data", "fsdp")
  assert set(mesh.axis_types) == {AxisType.Auto}
  assert {device.id for device in mesh.devices.flat} == {device.id for device in jax.devices()}


@pytest.mark.parametrize(("data", "fsdp"), [(-1, -1), (0, 1), (-2, 1), (3, -1), (4, 1), (-1, 16)])
def test_mesh_that_does_not_fit_names_the_keys(data: int, fsdp: int) -> None:
  with pytest.raises(UserError, match=f"mesh.data={data} x mesh.fsdp={fsdp}"):
    _mesh(data, fsdp)


def test_mesh_of_some_devices() -> None:
  mesh = sharding.make_mesh(ConfigDict({"data": -1, "fsdp": 1}), devices=jax.devices()[:3])
  assert mesh.shape["data"] == 3


def test_named_leaves_reach_into_lists_and_dataclasses() -> None:
  tree = {"a": [1, (2, {"b": 3})], "c": optax.TraceState(trace={"d": 4})}
  assert sharding.named_leaves(tree) == {"a/0": 1, "a/1/0": 2, "a/1/1/b": 3, "c/trace/d": 4}


_WORDS = st.sampled_from(["a", "b", "ab", "kernel", "bias"])
_NAMES = st.lists(st.lists(_WORDS, min_size=1, max_size=3).map("/".join), min_size=1, unique=True)
_PATTERNS = st.lists(st.sampled_from([".*", "a", "a/.*", ".*/bias", ".*b.*", "(a|b)/?.*", "x"]))


@given(names=_NAMES, patterns=_PATTERNS)
def test_first_matches_takes_the_first_or_says_what_is_dead(
    names: list[str], patterns: list[str]
) -> None:
  expected = {}
  for name in names:
    hits = [i for i, pattern in enumerate(patterns) if re.match(f"(?:{pattern})$", name)]
    if hits:
      expected[name] = hits[0]
  dead = [p for i, p in enumerate(patterns) if i not in expected.values()]
  if dead:
    with pytest.raises(UserError, match=re.escape(repr(dead[0]))):
      sharding.first_matches(patterns, names, "key")
  else:
    assert sharding.first_matches(patterns, names, "key") == expected


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["video/dens"], "key: 'video/dens' matches no parameter .*near: video/dense/"),
        (["vidio/dense/.*"], "near: video/dense/"),
        ([".*", "log_scale"], "'log_scale' is never used: earlier patterns .* 'log_scale'"),
        (["(video"], r"key: '\(video' is not a regular expression"),
    ],
)
def test_a_wrong_pattern_is_named(patterns: list[str], message: str) -> None:
  with pytest.raises(UserError, match=message):
    sharding.first_matches(patterns, list(sharding.named_leaves(PARAMS)), "key")


def test_first_rule_wins() -> None:
  rules = [("video/.*/kernel", P("fsdp")), (".*/embedding", P(None, ("data", "fsdp"))), (".*", P())]
  found = sharding.param_shardings(PARAMS, rules, _mesh())
  specs = {name: where.spec for name, where in sharding.named_leaves(found).items()}
  assert specs == {
      "video/dense/kernel": P("fsdp"),
      "video/dense/bias": P(),
      "text/embedding": P(None, ("data", "fsdp")),
      "log_scale": P(),
  }


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([("video/.*", P()), ("text/.*", P())], "none matches parameter 'log_scale'"),
        ([("audio/.*", P()), (".*", P())], "'audio/.*' matches no parameter"),
        ([("log_scale", P("data")), (".*", P())], "'log_scale' of shape .* more dimensions"),
        ([(".*kernel", P("model")), (".*", P())], "'video/dense/kernel'.* no axis 'model'"),
        ([(".*bias", P("data")), (".*", P())], "'video/dense/bias'.*: 6 does not divide over 4"),
    ],
)
def test_a_rule_that_does_not_fit_is_an_error(rules: sharding.Rules, message: str) -> None:
  with pytest.raises(UserError, match=message):
    sharding.param_shardings(PARAMS, rules, _mesh())


@given(
    shape=st.lists(st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16]), max_size=4).map(tuple),
    parts=st.sampled_from([1, 2, 4, 8]),
    min_size=st.sampled_from([0, 8, 100]),
)
def test_fsdp_splits_the_longest_dimension_that_divides(
    shape: tuple[int, ...], parts: int, min_size: int
) -> None:
  spec = sharding.Fsdp(min_size).spec(shape, _mesh(-1, parts))
  fits = [size for size in shape if size % parts == 0]
  if parts == 1 or not fits or np.prod(shape) < min_size:
    assert spec == P()
    return
  axis = len(spec) - 1
  assert spec == P(*(None,) * axis, "fsdp")
  assert shape[axis] == max(fits)
  assert shape[axis] not in [size for size in shape[axis + 1 :] if size % parts == 0]


def test_rules_of_a_config() -> None:
  given_rules = (("log_scale", ()), ("text/.*", (("data", "fsdp"),)), (".*", "fsdp"))
  config = ConfigDict({"min_size": 10, "rules": given_rules})
  rules = sharding.rules_from_config(config)
  assert rules == (
      ("log_scale", P()),
      ("text/.*", P(("data", "fsdp"))),
      (".*", sharding.Fsdp(10)),
  )
  params = PARAMS | {"text": {"embedding": _shape(16, 3)}}
  found = sharding.named_leaves(sharding.param_shardings(params, rules, _mesh(-1, 2)))
  assert {name: where.spec for name, where in found.items()} == {
      "video/dense/kernel": P("fsdp"),
      "video/dense/bias": P(),  # Below the smallest size.
      "text/embedding": P(("data", "fsdp")),
      "log_scale": P(),
  }


@pytest.mark.parametrize(
    "rule", [".*", (".*",), (".*", "data"), (3, "fsdp"), (".*", None), (".*", "fsdp", 1)]
)
def test_a_rule_of_another_form_is_an_error(rule: Any) -> None:
  with pytest.raises(UserError, match=r"sharding\.rules"):
    sharding.rules_from_config(ConfigDict({"min_size": 0, "rules": (rule,)}))


RULES = [(".*/(kernel|embedding)", P("fsdp")), (".*", P())]


@pytest.mark.parametrize(
    "tx",
    [
        optax.adamw(1e-3),
        optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1, momentum=0.9)),
        optax.partition(
            {"train": optax.adam(1e-3), "frozen": optax.set_to_zero()},
            {
                "video": {"dense": {"kernel": "train", "bias": "train"}},
                "text": {"embedding": "frozen"},
                "log_scale": "train",
            },
        ),
    ],
    ids=["adamw", "sgd", "partition"],
)
def test_optimizer_state_lives_with_its_parameters(tx: optax.GradientTransformation) -> None:
  mesh = _mesh()
  homes = sharding.param_shardings(PARAMS, RULES, mesh)
  state = jax.eval_shape(tx.init, PARAMS)
  found = sharding.named_leaves(sharding.mirrored_shardings(state, PARAMS, homes, mesh))
  mirrors = 0
  for name, where in found.items():
    mirrors += name.endswith("dense/kernel")
    assert where.spec == (P("fsdp") if name.endswith(("kernel", "embedding")) else P()), name
  assert mirrors


def test_factored_moments_are_replicated() -> None:
  mesh = _mesh()
  params = {"kernel": _shape(128, 256), "a": {"kernel": _shape(4, 4)}}
  homes = sharding.param_shardings(params, [(".*", P("fsdp"))], mesh)
  state = jax.eval_shape(optax.scale_by_factored_rms().init, params)
  found = sharding.named_leaves(sharding.mirrored_shardings(state, params, homes, mesh))
  assert found["v_row/kernel"].spec == found["v_col/kernel"].spec == P()
  assert found["v/a/kernel"].spec == P("fsdp")  # Too small to be factored: a full moment.


def test_the_longest_path_decides() -> None:
  mesh = _mesh()
  params = {"kernel": _shape(8), "a": {"kernel": _shape(8)}}
  homes = sharding.param_shardings(params, [("kernel", P("data")), ("a/kernel", P("fsdp"))], mesh)
  state: Any = {"mu": params}
  found = sharding.mirrored_shardings(state, params, homes, mesh)
  assert found["mu"]["kernel"].spec == P("data")
  assert found["mu"]["a"]["kernel"].spec == P("fsdp")


def test_to_global_gives_each_device_its_rows() -> None:
  mesh = _mesh()
  batch = {"x": np.arange(48, dtype=np.int32).reshape(16, 3), "mask": np.ones(16, bool)}
  found = sharding.to_global(batch, mesh)
  assert {name: (value.shape, value.dtype) for name, value in found.items()} == {
      name: (value.shape, value.dtype) for name, value in batch.items()
  }
  np.testing.assert_array_equal(found["x"], batch["x"])
  assert found["x"].sharding.is_equivalent_to(sharding.batch_sharding(mesh), 2)
  assert [shard.data.shape for shard in found["x"].addressable_shards] == [(2, 3)] * 8


def test_rows_that_do_not_divide_are_an_error() -> None:
  with pytest.raises(UserError, match="'x': 12 rows do not divide over 8 devices"):
    sharding.to_global({"x": np.zeros((12, 3))}, _mesh())
