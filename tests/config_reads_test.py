"""Every way to read a key counts, and no way to merely copy one does."""

from collections.abc import Callable
import copy
import json
from typing import Any

from ml_collections import ConfigDict
import pytest

from mla_jax import config_lib
from mla_jax.config_reads import check_all_read, record_reads, unread_keys
from mla_jax.errors import UserError


def _config() -> ConfigDict:
  return ConfigDict({"seed": 1, "data": {"batch_size": 2, "deep": {"x": None, "y": (1, 2)}}})


ALL = ["data.batch_size", "data.deep.x", "data.deep.y", "seed"]


@pytest.mark.parametrize(
    ("read", "keys"),
    [
        (lambda c: c.seed, ["seed"]),
        (lambda c: c["seed"], ["seed"]),
        (lambda c: c.get("seed"), ["seed"]),
        (lambda c: getattr(c, "seed", None), ["seed"]),
        (lambda c: c.data, []),
        (lambda c: c.data.deep.y, ["data.deep.y"]),
        (lambda c: c["data.deep.y"], ["data.deep.y"]),
        (lambda c: c.data["deep"].get("x"), ["data.deep.x"]),
        (lambda c: dict(**c.data), ["data.batch_size"]),
        (lambda c: dict(c.data.deep), ["data.deep.x", "data.deep.y"]),
        (lambda c: c.data.deep.items(), ["data.deep.x", "data.deep.y"]),
        (lambda c: list(c.data.deep.iteritems()), ["data.deep.x", "data.deep.y"]),
        (lambda c: c.data.deep.values(), ["data.deep.x", "data.deep.y"]),
        (lambda c: dict(c.data.items())["deep"].y, ["data.batch_size", "data.deep.y"]),
        (lambda c: c.get("no_such_key"), []),
        (lambda c: hasattr(c, "no_such_key"), []),
        (lambda c: "seed" in c, []),
        (lambda c: [list(c), len(c), c.keys()], []),
        (lambda c: [str(c), repr(c), c.to_dict(), c.to_json(), c.is_locked], []),
        (lambda c: [copy.copy(c).seed, copy.deepcopy(c).seed], []),
        (lambda c: c.copy_and_resolve_references().seed, []),
        (lambda c: [config_lib.config_hash(c), config_lib.diff_configs(c, c)], []),
        (lambda c: config_lib.apply_overrides(c, {"seed": "3"}).seed, []),
    ],
)
def test_what_counts(read: Callable[[ConfigDict], Any], keys: list[str]) -> None:
  config = record_reads(_config())
  assert unread_keys(config) == ALL
  read(config)
  assert sorted(set(ALL) - set(unread_keys(config))) == keys


def test_copies_hold_the_same_values() -> None:
  recorder = record_reads(_config())
  assert recorder.to_dict() == _config().to_dict()
  assert copy.deepcopy(recorder).to_dict() == _config().to_dict()
  assert json.loads(recorder.to_json())["data"]["deep"] == {"x": None, "y": [1, 2]}
  assert config_lib.diff_configs(recorder, _config()) == []


def test_is_locked_and_leaves_the_original_alone() -> None:
  config = _config()
  recorder = record_reads(config)
  with pytest.raises(AttributeError):
    recorder.data.new = 1
  with pytest.raises(AttributeError):
    recorder.new = 1
  config.new = 1
  assert "new" not in recorder


def test_unread_keys_of_a_group() -> None:
  recorder = record_reads(_config())
  _ = recorder.data.batch_size
  assert unread_keys(recorder.data) == ["deep.x", "deep.y"]


def test_check_names_the_keys_and_the_nearest_read_one() -> None:
  config = _config()
  config.data.bach_size = 7  # As in a config file that misspells a key.
  recorder = record_reads(config)
  _ = recorder.seed, recorder.data.batch_size, recorder.data.deep.values()
  with pytest.raises(UserError, match=r"data\.bach_size \(did you mean data\.batch_size\?\)"):
    check_all_read(recorder)
  _ = recorder.data.bach_size
  check_all_read(recorder)
