"""The fields that only some datasets' texts have, and how a record stores them.

A folder of texts stores those fields that any of its texts uses, in all of its records; the records
of plain captions and open-ended questions are what they would be without this module.
"""

from collections.abc import Callable, Iterable, Mapping
import dataclasses
import math
from typing import Any, TypeAlias

import numpy as np

from mla_jax.data.annotations.schema import Subtitle

# The features of a tf.train.Example, by name.
Features: TypeAlias = Any


@dataclasses.dataclass(frozen=True)
class _Field:
  """How one field is stored.

  Attributes:
    key: a feature that is there where the field is.
    default: what a text has that does not use the field.
    tfds: the field's feature, given the module `tfds.features`.
    write: adds a value to the features.
    read: the value back from the features.
  """

  key: str
  default: Any
  tfds: Callable[[Any], Any]
  write: Callable[[Features, Any], None]
  read: Callable[[Features], Any]


def used_fields(texts: Iterable[Any]) -> tuple[str, ...]:
  """The names of the fields, in a fixed order, that any of the texts or records uses."""
  used: set[str] = set()
  for text in texts:
    used |= {name for name in FIELDS if _differs(getattr(text, name), FIELDS[name].default)}
  return tuple(name for name in FIELDS if name in used)


def write_fields(features: Features, record: Any, names: Iterable[str]) -> None:
  """Adds the named fields of a record to an Example's features."""
  for name in names:
    FIELDS[name].write(features, getattr(record, name))


def read_fields(features: Features) -> dict[str, Any]:
  """The fields that are stored; the others have their defaults."""
  return {name: field.read(features) for name, field in FIELDS.items() if field.key in features}


def tfds_features(names: Iterable[str]) -> Mapping[str, Any]:
  """The TFDS features of the named fields."""
  import tensorflow_datasets as tfds  # Heavy: only the writer needs it.

  return {name: FIELDS[name].tfds(tfds.features) for name in names}


def _differs(value: Any, default: Any) -> bool:
  if isinstance(default, float):
    return not math.isnan(value)
  return bool(value != default)


def _integer(name: str) -> _Field:
  def write(features: Features, value: int) -> None:
    features[name].int64_list.value.append(value)

  def read(features: Features) -> int:
    return int(features[name].int64_list.value[0])

  return _Field(name, -1, lambda tfds: tfds.Scalar(np.int64), write, read)


def _texts(name: str) -> _Field:
  def write(features: Features, value: tuple[str, ...]) -> None:
    features[name].bytes_list.value.extend(text.encode() for text in value)

  def read(features: Features) -> tuple[str, ...]:
    return tuple(raw.decode() for raw in features[name].bytes_list.value)

  return _Field(name, (), lambda tfds: tfds.Sequence(tfds.Text()), write, read)


def _moments() -> _Field:
  # As doubles: 24.3 s in single precision would be another number, and IoU has thresholds.
  def write(features: Features, value: tuple[tuple[float, float], ...]) -> None:
    features["moments"].bytes_list.value.append(np.array(value, "<f8").tobytes())

  def read(features: Features) -> tuple[tuple[float, float], ...]:
    values = np.frombuffer(features["moments"].bytes_list.value[0], "<f8").reshape(-1, 2)
    return tuple((start, end) for start, end in values.tolist())

  return _Field("moments", (), lambda tfds: tfds.Tensor(
      shape=(None, 2), dtype=np.float64, encoding="bytes"), write, read)


def _duration() -> _Field:
  def write(features: Features, value: float) -> None:
    features["duration"].bytes_list.value.append(np.array(value, "<f8").tobytes())

  def read(features: Features) -> float:
    return float(np.frombuffer(features["duration"].bytes_list.value[0], "<f8")[0])

  return _Field("duration", math.nan, lambda tfds: tfds.Tensor(
      shape=(), dtype=np.float64, encoding="bytes"), write, read)


def _saliency() -> _Field:
  def write(features: Features, value: tuple[tuple[int, ...], ...]) -> None:
    features["saliency"].int64_list.value.extend(number for row in value for number in row)

  def read(features: Features) -> tuple[tuple[int, ...], ...]:
    values = np.array(features["saliency"].int64_list.value, np.int64).reshape(-1, 4)
    return tuple(map(tuple, values.tolist()))

  return _Field(
      "saliency", (), lambda tfds: tfds.Tensor(shape=(None, 4), dtype=np.int64), write, read)


def _subtitles() -> _Field:
  def write(features: Features, value: tuple[Subtitle, ...]) -> None:
    features["subtitles/text"].bytes_list.value.extend(line.text.encode() for line in value)
    features["subtitles/start"].float_list.value.extend(line.start for line in value)
    features["subtitles/end"].float_list.value.extend(line.end for line in value)

  def read(features: Features) -> tuple[Subtitle, ...]:
    return tuple(
        Subtitle(raw.decode(), start, end)
        for raw, start, end in zip(
            features["subtitles/text"].bytes_list.value,
            features["subtitles/start"].float_list.value,
            features["subtitles/end"].float_list.value,
            strict=True))

  return _Field("subtitles/text", (), lambda tfds: tfds.Sequence(
      {"text": tfds.Text(), "start": np.float32, "end": np.float32}), write, read)


FIELDS: dict[str, _Field] = {
    "candidates": _texts("candidates"),
    "answer_index": _integer("answer_index"),
    "count": _integer("count"),
    "references": _texts("references"),
    "moments": _moments(),
    "saliency": _saliency(),
    "duration": _duration(),
    "subtitles": _subtitles(),
}
