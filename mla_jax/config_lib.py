"""Configs: from a config file and the command line, to and from JSON, compared.

The command line is `--config=configs/msvd_qa.py:pixels,steps=20 --config.data.num_frames=4`: a
file with `get_config(arg=None)`, the argument it gets, and overrides of single keys. An entry point
calls `define_config_flags()`, passes `parse_flags` to `app.run`, and in its main

    config = load_config(FLAGS.config, overrides_given())

or, to go on from a finished run, `apply_overrides(read_config(path), overrides_given())`.
"""

from collections.abc import Mapping, Sequence
import functools
import hashlib
import importlib.util
import inspect
import json
import os
import pathlib
import re
import sys
import traceback
from typing import Any

from absl import app, flags
from ml_collections import ConfigDict

from mla_jax.config_values import (
    canonical,
    describe,
    flatten,
    from_plain,
    nearest,
    parse_value,
    to_plain,
)
from mla_jax.errors import UserError

# Keys whose values are folders of one machine, and what stands for them in a command for others.
PLACES = {
    "data.dir": "DATA", "model.text.pretrained": "PRETRAINED", "model.text.cache": "CACHE",
}

# Settings that the runs of older code have none of, with what that code did.
_SINCE = {"eval.global_score": 1.0}


def define_override_flags() -> None:
  """Defines the place where `parse_flags` keeps the `--config.KEY=VALUE` it met."""
  flags.DEFINE_multi_string("config_override", [], "KEY=VALUE; write it --config.KEY=VALUE.")


def define_config_flags() -> flags.FlagHolder[str | None]:
  """Defines `--config` and `--config.KEY=VALUE`."""
  define_override_flags()
  return flags.DEFINE_string(
      "config", None, "Config file: path.py or path.py:argument; --config.KEY=VALUE changes a key."
  )


def parse_flags(argv: Sequence[str]) -> list[str]:
  """Parses the command line for `app.run(main, flags_parser=parse_flags)`; see the module."""
  expanded = flags.FLAGS.read_flags_from_files(list(argv), force_gnu=False)
  end = expanded.index("--") if "--" in expanded else len(expanded)
  known = [re.sub(r"^--?config\.", "--config_override=", arg) for arg in expanded[:end]]
  return app.parse_flags_with_usage(known + expanded[end:])


def overrides_given() -> dict[str, str]:
  """The explicit overrides of this command line: dotted key -> text of the value."""
  overrides = {}
  for override in flags.FLAGS.config_override:
    key, equals, text = override.partition("=")
    if not equals:
      raise UserError(f"--config.{key}: has no value: write --config.{key}=VALUE")
    overrides[key] = text
  return overrides


def load_config(path_with_arg: str | None, overrides: Mapping[str, Any] = {}) -> ConfigDict:
  """The config of a file, with some keys overridden; locked, sequences as tuples.

  Args:
    path_with_arg: `path.py`, or `path.py:arg` for `get_config(arg)`.
    overrides: dotted key -> value, or its text as typed on the command line.

  Raises:
    UserError: no such file, a file that fails, an unknown key, a value of another type.
  """
  config = call_file(path_with_arg, "get_config")
  if not isinstance(config, ConfigDict):
    kind = type(config).__name__
    raise UserError(f"{path_with_arg}: get_config returns a {kind}: return a ConfigDict")
  _set_all(config, overrides)
  return from_plain(to_plain(config, str(path_with_arg))).lock()


def call_file(path_with_arg: str | None, function: str) -> Any:
  """What `function(arg=None)` of a Python file returns, for `path.py` or `path.py:arg`.

  `from configs import common` in it finds its own siblings, wherever they are.

  Raises:
    UserError: no such file, a file that fails, or that has no such function.
  """
  match = re.fullmatch(r"(.+?\.py)(?::(.*))?", path_with_arg or "")
  if not match:
    raise UserError(f"--config={path_with_arg or ''}: name a config file: path.py or path.py:arg")
  path = pathlib.Path(match[1])
  if not path.is_file():
    near = nearest(path.name, (p.name for p in path.parent.glob("*.py")))
    raise UserError(f"{path}: no such config file{f'; did you mean {near}?' if near else ''}")
  return _call(path, function, match[2])


def apply_overrides(config: ConfigDict, overrides: Mapping[str, Any]) -> ConfigDict:
  """A copy of the config with some keys changed; see `load_config`."""
  changed = from_plain(to_plain(config))
  _set_all(changed, overrides)
  return from_plain(to_plain(changed)).lock()


def parse_arg(arg: str | None, **defaults: Any) -> ConfigDict:
  """Reads the argument of a config file, such as "pixels,steps=20,debug".

  Args:
    arg: what stands behind the colon in `--config=configs/x.py:ARG`.
    **defaults: every name the argument may hold. A value is read by its default's type; a bool
      needs none: `debug` is `debug=true`.

  Raises:
    UserError: an unknown or repeated name, a missing value, a value of another type.
  """
  values: dict[str, Any] = {}
  for part in filter(None, (part.strip() for part in (arg or "").split(","))):
    name, equals, text = (piece.strip() for piece in part.partition("="))
    where = f"config argument {part!r}"
    if name not in defaults:
      near = nearest(name, defaults)
      hint = f"did you mean {near!r}? " if near else ""
      raise UserError(f"{where}: unknown; {hint}use {', '.join(sorted(defaults)) or 'none'}")
    if name in values:
      raise UserError(f"{where}: {name!r} is given twice: give it once")
    if not equals and not isinstance(defaults[name], bool):
      raise UserError(f"{where}: has no value: write {name}=VALUE")
    kind = type(defaults[name])
    values[name] = parse_value(where, text, defaults[name], kind) if equals else True
  return ConfigDict(defaults | values).lock()


def save_config(config: ConfigDict, path: str | os.PathLike[str]) -> None:
  """Writes the config as JSON, whole or not at all.

  Raises:
    UserError: the file cannot be written, or a value is of a type JSON does not have.
  """
  path = pathlib.Path(path)
  text = json.dumps(to_plain(config), indent=2, sort_keys=True) + "\n"
  partial = path.with_name(f".{path.name}.{os.getpid()}")
  try:
    partial.write_text(text)
    partial.replace(path)
  except OSError as error:
    raise UserError(f"{path}: cannot be written ({error.strerror}): try elsewhere") from error


def read_config(path: str | os.PathLike[str]) -> ConfigDict:
  """Reads what `save_config` wrote; locked, sequences as tuples.

  Raises:
    UserError: no such file, or not such a file.
  """
  try:
    plain = json.loads(pathlib.Path(path).read_text())
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror}): is this a workdir?") from error
  except ValueError as error:
    raise UserError(f"{path}: is no JSON ({error}): restore it from a copy") from error
  if not isinstance(plain, dict):
    raise UserError(f"{path}: holds no config: restore it from a copy")
  config = from_plain(plain)
  for key, value in _SINCE.items():
    group, _, name = key.partition(".")
    if group in config and name not in config[group]:
      config[group][name] = value
  return config.lock()


def config_hash(config: ConfigDict) -> str:
  """16 hexadecimal digits that are equal for equal configs, wherever their files lie.

  Of pretrained weights it counts whether there are any: where they lie does not say which.
  """
  plain = to_plain(config)
  for *groups, name in (key.split(".") for key in PLACES):
    group: Any = functools.reduce(lambda found, part: found.get(part) or {}, groups, plain)
    if group.pop(name, None) and name == "pretrained":
      group[name] = True
  return hashlib.sha256(canonical(plain).encode()).hexdigest()[:16]


def diff_configs(a: ConfigDict, b: ConfigDict) -> list[str]:
  """One "key: value in a -> value in b" for each key that differs, in order."""
  flat_a, flat_b = flatten(a), flatten(b)
  texts = {
      key: [canonical(flat[key]) if key in flat else "(no such key)" for flat in (flat_a, flat_b)]
      for key in sorted(flat_a | flat_b)
  }
  return [f"{key}: {old} -> {new}" for key, (old, new) in texts.items() if old != new]


def _call(path: pathlib.Path, function: str, arg: str | None) -> Any:
  spec = importlib.util.spec_from_file_location("mla_jax_config", path)
  assert spec is not None
  assert spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  folder = str(root_of(path.resolve()))
  sys.path.insert(0, folder)
  try:
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if found is None:
      raise UserError(f"has no {function}(arg=None)")
    if arg and not inspect.signature(found).parameters:
      raise UserError(f"takes no argument, was given {arg!r}")
    return found(arg) if arg else found()
  except UserError as error:
    raise UserError(f"{path}: {error}") from error
  except SyntaxError as error:
    raise UserError(f"{error.filename}:{error.lineno}: {error.msg}: mend the file") from error
  except Exception as error:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [str(frame.lineno) for frame in frames if frame.filename == spec.origin]
    where = ":".join([str(path), *lines[-1:]])
    raise UserError(f"{where}: {type(error).__name__}: {error}: mend the file") from error
  finally:
    sys.path.remove(folder)


def root_of(path: pathlib.Path) -> pathlib.Path:
  """What holds the folder `configs` the file is in, or the folder above its own."""
  return next((p.parent for p in path.parents if p.name == "configs"), path.parent.parent)


def _set_all(config: ConfigDict, overrides: Mapping[str, Any]) -> None:
  for key, value in overrides.items():
    where = f"--config.{key}={value}"
    *groups, name = key.split(".")
    group = config
    for part in groups:
      group = group.get(part) if isinstance(group, ConfigDict) else None
    if not isinstance(group, ConfigDict) or name not in group:
      near = nearest(key, flatten(config))
      hint = f"; did you mean --config.{near}?" if near else "; see the config file for its keys"
      raise UserError(f"{where}: no such key in the config{hint}")
    current = group[name]
    if isinstance(current, ConfigDict):
      keys = ", ".join(f"{key}.{k}" for k in current) or "it has none"
      raise UserError(f"{where}: is a group: set one of its keys: {keys}")
    kind = group.get_type(name)
    try:
      group[name] = parse_value(where, value, current, kind) if isinstance(value, str) else value
    except TypeError as error:
      raise UserError(f"{where}: give {describe(kind)} (it is {current!r} now)") from error
