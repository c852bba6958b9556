"""The config file, overrides, JSON: right values, one clear line when wrong."""

import json
import pathlib
import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict, config_dict
import pytest

from mla_jax import config_lib
from mla_jax.errors import UserError

CONFIG = """
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder
from mla_jax.config_lib import parse_arg

def get_config(arg=None):
  arg = parse_arg(arg, steps=10, pixels=False)
  config = ConfigDict({"name": "x", "data": {"dir": placeholder(str), "batch_size": 8}})
  config.train = ConfigDict({"steps": arg.steps, "rate": 0.5, "debug": arg.pixels})
  config.train.warmup = config.train.get_ref("steps") // 2
  config.freeze = ("a", "b")
  config.multipliers = (("head", 2.0),)
  config.sizes = [1, 2]
  config.empty = ()
  return config
"""

MAIN = """
from absl import app
from mla_jax import config_lib
from mla_jax.errors import exit_on_user_error

CONFIG = config_lib.define_config_flags()

def main(argv):
  config = config_lib.load_config(CONFIG.value, config_lib.overrides_given())
  print(argv[1:], config.train.steps, config.data.dir, config.freeze)

app.run(exit_on_user_error(main), flags_parser=config_lib.parse_flags)
"""


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
  path = tmp_path / "configs" / "x.py"
  path.parent.mkdir()
  path.write_text(CONFIG)
  return path


def _one_line(error: pytest.ExceptionInfo[UserError]) -> str:
  message = str(error.value)
  assert "\n" not in message
  return message


class TestLoadConfig:
  def test_file_argument_and_overrides(self, path: pathlib.Path) -> None:
    config = config_lib.load_config(
        f"{path}:steps=20,pixels",
        {"data.dir": "/d", "train.rate": "3", "freeze": "c", "data.batch_size": 16},
    )
    assert config.to_dict() == {
        "name": "x",
        "data": {"dir": "/d", "batch_size": 16},
        "train": {"steps": 20, "rate": 3.0, "debug": True, "warmup": 10},
        "freeze": ("c",),
        "multipliers": (("head", 2.0),),
        "sizes": (1, 2),
        "empty": (),
    }
    assert config.is_locked
    assert config.train.is_locked

  def test_references_follow_overrides(self, path: pathlib.Path) -> None:
    assert config_lib.load_config(str(path), {"train.steps": "40"}).train.warmup == 20

  @pytest.mark.parametrize(
      ("key", "text", "value"),
      [
          ("train.debug", "true", True),
          ("train.debug", "0", False),
          ("train.rate", "1e-3", 1e-3),
          ("data.dir", "7", "7"),  # A placeholder keeps its type.
          ("data.dir", "None", None),
          ("name", "None", "None"),
          ("name", "a=b,c", "a=b,c"),
          ("freeze", "('a', 'c')", ("a", "c")),
          ("freeze", ".*/text", (".*/text",)),
          ("freeze", "()", ()),
          ("multipliers", "[('a', 1.0)]", (("a", 1.0),)),
          ("empty", "1,2", (1, 2)),
      ],
  )
  def test_value_by_type(self, path: pathlib.Path, key: str, text: str, value: Any) -> None:
    found = config_lib.load_config(str(path), {key: text})[key]
    assert found == value
    assert type(found) is type(value)

  @pytest.mark.parametrize(
      ("overrides", "says"),
      [
          ({"data.bach_size": "3"}, "did you mean --config.data.batch_size?"),
          ({"batch_size": "3"}, "did you mean --config.data.batch_size?"),
          ({"trian.steps": "3"}, "did you mean --config.train.steps?"),
          ({"train.steps.more": "3"}, "no such key"),
          ({"zzz": "3"}, "no such key"),
          ({"data": "{}"}, "data.batch_size"),
          ({"train.steps": "abc"}, "give a whole number"),
          ({"train.steps": "1.5"}, "give a whole number"),
          ({"train.steps": 1.5}, "give a whole number"),
          ({"train.rate": "fast"}, "give a number"),
          ({"train.debug": "2"}, "give true or false"),
          ({"freeze": "(1, 2)"}, "give a tuple"),
          ({"freeze": "a, b"}, "give a tuple"),
          ({"freeze": "('a'"}, "give a tuple"),
      ],
  )
  def test_wrong_override(
      self, path: pathlib.Path, overrides: dict[str, Any], says: str
  ) -> None:
    with pytest.raises(UserError) as error:
      config_lib.load_config(str(path), overrides)
    message = _one_line(error)
    assert says in message
    assert f"--config.{next(iter(overrides))}" in message

  @pytest.mark.parametrize(
      ("text", "says"),
      [
          ("def get_config(arg=None):\n  return 1 +", "x.py:2: invalid syntax"),
          ("x = 1\n", "no get_config"),
          ("def get_config(arg=None):\n  return {}", "ConfigDict"),
          ("import no_such_module_at_all\n", "x.py:1: ModuleNotFoundError"),
          ("def get_config(arg=None):\n\n  return 1 / 0", "x.py:3: ZeroDivisionError"),
          ("def get_config():\n  return 1", "takes no argument"),
          (CONFIG, "unknown"),
          (
              "from ml_collections import ConfigDict\n"
              "def get_config(arg=None):\n  return ConfigDict({'a': {'b': object}})",
              "a: b: is a type",
          ),
      ],
  )
  def test_wrong_file(self, path: pathlib.Path, text: str, says: str) -> None:
    path.write_text(text)
    with pytest.raises(UserError) as error:
      config_lib.load_config(f"{path}:stepz=1")
    message = _one_line(error)
    assert says in message
    assert "x.py" in message

  def test_missing_file(self, path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"xx\.py: no such config file; did you mean x\.py\?"):
      config_lib.load_config(str(path.with_name("xx.py")))
    for wrong in (None, "", "configs/demo", str(path.parent)):
      with pytest.raises(UserError, match=r"path\.py"):
        config_lib.load_config(wrong)

  def test_siblings_import_from_anywhere(
      self, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
  ) -> None:
    folder = path.parent.rename(tmp_path / "own_configs")
    (folder / "pieces.py").write_text("RATE = 7.0\n")
    text = CONFIG.replace('"rate": 0.5', '"rate": pieces.RATE')
    (folder / "x.py").write_text("from own_configs import pieces\n" + text)
    monkeypatch.chdir(tmp_path / "own_configs")
    before = list(sys.path)
    assert config_lib.load_config("x.py").train.rate == 7.0
    assert sys.path == before


class TestCommandLine:
  def _run(self, path: pathlib.Path, *args: str) -> subprocess.CompletedProcess[str]:
    main = path.with_name("main.py")
    main.write_text(MAIN)
    return subprocess.run(
        [sys.executable, str(main), *args], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(pathlib.Path(config_lib.__file__).parents[1])},
    )

  def test_good(self, path: pathlib.Path) -> None:
    done = self._run(
        path, "--config.data.dir=/d=e", f"--config={path}:steps=4", "-config.freeze=q",
        "rest", "--config.data.dir=/e", "--", "--config.train.steps=9",
    )
    assert done.stdout.split("\n")[0] == "['rest', '--config.train.steps=9'] 4 /e ('q',)", done

  @pytest.mark.parametrize(
      ("args", "says"),
      [
          (["--config.data.bach_size=3"], "did you mean --config.data.batch_size?"),
          (["--config.train.steps=abc"], "give a whole number"),
          (["--config.train.steps"], "--config.train.steps: has no value"),
          (["--config=none.py"], "none.py: no such config file"),
          (["--confg=x"], "Did you mean: config"),
      ],
  )
  def test_wrong(self, path: pathlib.Path, args: list[str], says: str) -> None:
    done = self._run(path, f"--config={path}", *args)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert says in done.stderr
    assert not done.stdout
    if "Did you" not in says:
      assert done.stderr.startswith("error: ")
      assert done.stderr.count("\n") == 1


class TestSavedConfig:
  def test_round_trip(self, path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    config = config_lib.load_config(str(path))
    config_lib.save_config(config, tmp_path / "config.json")
    again = config_lib.read_config(tmp_path / "config.json")
    assert again == config
    assert again.is_locked
    assert again.multipliers == (("head", 2.0),)
    assert config_lib.diff_configs(config, again) == []
    assert config_lib.config_hash(config) == config_lib.config_hash(again)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["config.json"]

  def test_overrides_on_a_saved_config(self, path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    config = config_lib.load_config(str(path))
    changed = config_lib.apply_overrides(config, {"train.rate": "2", "data.dir": "/elsewhere"})
    assert config_lib.diff_configs(config, changed) == [
        'data.dir: null -> "/elsewhere"', "train.rate: 0.5 -> 2.0"
    ]
    assert config.train.rate == 0.5
    assert config_lib.config_hash(config) != config_lib.config_hash(changed)
    with pytest.raises(UserError, match="did you mean"):
      config_lib.apply_overrides(config, {"train.rat": "2"})

  def test_diff_names_keys_of_one_side(self) -> None:
    a, b = ConfigDict({"g": {"x": 1, "y": (1, 2)}}), ConfigDict({"g": {"x": 1.0, "z": "t"}})
    assert config_lib.diff_configs(a, b) == [
        "g.x: 1 -> 1.0", "g.y: [1, 2] -> (no such key)", 'g.z: (no such key) -> "t"'
    ]

  @given(
      st.recursive(
          st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
          | st.tuples(st.integers(), st.tuples(st.text())),
          lambda values: st.dictionaries(st.from_regex(r"[a-z]{3}_", fullmatch=True), values),
          max_leaves=10,
      ).filter(lambda value: isinstance(value, dict))
  )
  def test_any_config_comes_back(
      self, tmp_path_factory: pytest.TempPathFactory, plain: dict[str, Any]
  ) -> None:
    config = ConfigDict(plain).lock()
    path = tmp_path_factory.getbasetemp() / "any.json"
    config_lib.save_config(config, path)
    again = config_lib.read_config(path)
    assert again == config
    # True == 1 == 1.0 in Python: compare the types too.
    assert repr(again.to_dict()) == repr(config.to_dict())
    assert config_lib.config_hash(again) == config_lib.config_hash(config)

  def test_hash_ignores_the_order_of_keys(self) -> None:
    a, b = ConfigDict({"a": 1, "b": 2}), ConfigDict({"b": 2, "a": 1}, sort_keys=False)
    assert config_lib.config_hash(a) == config_lib.config_hash(b)

  def test_hash_ignores_where_files_lie(self) -> None:
    def hash_of(place: str | None, weights: str) -> str:
      text = {"pretrained": weights, "cache": place}
      config = ConfigDict({"data": {"dir": place, "x": 1}, "model": {"text": text}})
      before = config.to_json()
      found = config_lib.config_hash(config)
      assert config.to_json() == before
      return found

    assert hash_of("/a", "/bert") == hash_of("/b", "/other") == hash_of(None, "/bert")
    assert hash_of("/a", "/bert") != hash_of("/a", "")

  @pytest.mark.parametrize(
      ("text", "says"), [("{", "is no JSON"), ("[1]", "holds no config"), (None, "cannot be read")]
  )
  def test_unreadable(self, tmp_path: pathlib.Path, text: str | None, says: str) -> None:
    if text is not None:
      (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=says) as error:
      config_lib.read_config(tmp_path / "config.json")
    assert "config.json" in _one_line(error)

  def test_unwritable(self, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
      config_lib.save_config(ConfigDict(), tmp_path / "file" / "config.json")

  def test_placeholder_in_a_required_field(self, tmp_path: pathlib.Path) -> None:
    config = ConfigDict({"dir": config_dict.placeholder(str)})
    config_lib.save_config(config, tmp_path / "config.json")
    again = config_lib.read_config(tmp_path / "config.json")
    assert again.dir is None
    assert config_lib.apply_overrides(again, {"dir": "a/b"}).dir == "a/b"


def test_a_run_of_older_code_has_what_that_code_did(tmp_path):
  for folder, scores in (("old", {}), ("new", {"global_score": 0.0})):
    (tmp_path / folder).write_text(json.dumps({"eval": {"segment_score": 2.0} | scores}))
  old, new = (config_lib.read_config(tmp_path / folder) for folder in ("old", "new"))
  assert old.eval.to_dict() == {"segment_score": 2.0, "global_score": 1.0}
  assert new.eval.global_score == 0.0
