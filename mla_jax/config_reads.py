"""Finds the keys of a config that nothing reads: misspelt ones, and ones a change left behind."""

import difflib
from typing import Any

from ml_collections import ConfigDict

from mla_jax.config_values import flatten, from_plain, to_plain
from mla_jax.errors import UserError


class RecordingConfig(ConfigDict):
  """A locked ConfigDict that notes which keys are read; made by `record_reads`.

  A key counts as read once its value is handed out: as attribute or item, by `get`, `items`,
  `values` or `**config`. Groups, `in`, `len`, `keys` and whole copies (`to_dict`, JSON, printing,
  saving, comparing) do not count; what `copy` and pickling give is a plain ConfigDict.
  """

  def __getitem__(self, key: str) -> Any:
    value = super().__getitem__(key)
    if key in self._fields and not isinstance(value, ConfigDict):
      self._reads.add(self._prefix + key)
    return value

  def to_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return self._source.to_dict(*args, **kwargs)

  def copy_and_resolve_references(self, visit_map: Any = None) -> ConfigDict:
    return self._source.copy_and_resolve_references(visit_map)

  def __reduce__(self) -> tuple[Any, ...]:
    return ConfigDict, (self.to_dict(),)


def record_reads(config: ConfigDict) -> RecordingConfig:
  """A locked copy of the config that notes what is read from now on."""
  return _recorder(from_plain(to_plain(config)), "", set())


def unread_keys(config: RecordingConfig) -> list[str]:
  """The dotted keys nobody read so far, in order."""
  prefix: str = config._prefix
  return sorted(key for key in flatten(config) if prefix + key not in config._reads)


def check_all_read(config: RecordingConfig) -> None:
  """Call when everything is set up, before the first step.

  Raises:
    UserError: names the keys nobody read, each with the most similar one that was read.
  """
  unread = unread_keys(config)
  if not unread:
    return
  read = sorted(flatten(config).keys() - set(unread))
  shown = []
  for key in unread:
    near = difflib.get_close_matches(key, read, 1)
    shown.append(f"{key} (did you mean {near[0]}?)" if near else key)
  raise UserError(
      f"config keys that nothing reads: {', '.join(shown)}: correct or remove them in the config"
  )


def _recorder(config: ConfigDict, prefix: str, reads: set[str]) -> RecordingConfig:
  recorder = RecordingConfig()
  for key, value in config.items():
    is_group = isinstance(value, ConfigDict)
    recorder[key] = _recorder(value, f"{prefix}{key}.", reads) if is_group else value
  for name, value in {"_source": config, "_prefix": prefix, "_reads": reads}.items():
    object.__setattr__(recorder, name, value)  # ConfigDict's own would make them keys.
  return recorder.lock()
