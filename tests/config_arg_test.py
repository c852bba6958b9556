"""The argument of a config file: right values, one clear line when wrong."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from mla_jax.config_lib import parse_arg
from mla_jax.errors import UserError


def test_typed_by_the_defaults() -> None:
  defaults: dict[str, Any] = {
      "steps": 5, "rate": 1.0, "name": "a", "debug": False, "on": True, "path": None, "t": (1,)
  }
  arg = parse_arg("debug,steps=20, rate=2,name=3,on=false,path=a/b,t=4", **defaults)
  assert arg.to_dict() == {
      "steps": 20, "rate": 2.0, "name": "3", "debug": True, "on": False, "path": "a/b", "t": (4,)
  }
  assert isinstance(arg.rate, float)


@pytest.mark.parametrize("nothing", [None, "", " ", ","])
def test_nothing_gives_the_defaults(nothing: str | None) -> None:
  assert parse_arg(nothing, steps=5).to_dict() == {"steps": 5}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stepz=1", "'steps'"),
        ("quite_other", "use debug, steps"),
        ("steps", "write steps=VALUE"),
        ("steps=1.5", "whole number"),
        ("steps=", "whole number"),
        ("debug=perhaps", "true or false"),
        ("steps=1,steps=2", "twice"),
        ("=3", "unknown"),
    ],
)
def test_wrong(text: str, says: str) -> None:
  with pytest.raises(UserError) as error:
    parse_arg(text, steps=5, debug=False)
  assert says in str(error.value)
  assert "\n" not in str(error.value)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(), min_size=1),
    st.dictionaries(st.sampled_from("efgh"), st.floats(allow_nan=False)),
)
def test_any_values_come_back(ints: dict[str, int], floats: dict[str, float]) -> None:
  values = ints | floats
  text = ",".join(f"{name}={value!r}" for name, value in values.items())
  defaults = {name: type(value)(0) for name, value in values.items()}
  assert parse_arg(text, **defaults).to_dict() == values
