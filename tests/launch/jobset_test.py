"""launch/gke_jobset.yaml has no field that Kubernetes does not know, and none of another type."""

from collections.abc import Iterator
import copy
import pathlib
import re
from typing import Any, TypeAlias

import pytest
import yaml

Path: TypeAlias = tuple[str | int, ...]

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBSET = yaml.safe_load((ROOT / "launch" / "gke_jobset.yaml").read_text())
SCHEMA = yaml.safe_load(pathlib.Path(__file__).with_name("jobset_schema.yaml").read_text())
JOB: Path = ("spec", "replicatedJobs", 0, "template", "spec")
POD: Path = (*JOB, "template", "spec")
CONTAINER: Path = (*POD, "containers", 0)

_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
_KEYWORDS = {
    "type", "properties", "additionalProperties", "required", "items", "enum", "pattern", "minimum",
    "maximum",
}


def faults(value: Any, schema: dict[str, Any], where: Path = ()) -> Iterator[str]:
  """What is wrong with a document; fields that `properties` does not list are."""
  assert not set(schema) - _KEYWORDS, f"{where}: the schema says what is not read here"
  kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
  if type(value) not in [_TYPES[kind] for kind in kinds]:  # A bool is no integer.
    yield f"{where}: is {value!r}, and not of type {kinds}"
  elif isinstance(value, dict):
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    yield from (f"{where}: lacks {name}" for name in set(schema.get("required", ())) - set(value))
    for name, inner in value.items():
      if name in fields or others:
        yield from faults(inner, fields.get(name, others), (*where, name))
      else:
        yield f"{where}: has no field {name}"
  elif isinstance(value, list):
    for place, inner in enumerate(value):
      yield from faults(inner, schema["items"], (*where, place))
  else:
    yield from _wrong_values(value, schema, where)


def _wrong_values(value: Any, schema: dict[str, Any], where: Path) -> Iterator[str]:
  if value not in schema.get("enum", [value]):
    yield f"{where}: is {value!r}, and none of {schema['enum']}"
  if isinstance(value, str) and not re.fullmatch(schema.get("pattern", "(?s).*"), value):
    yield f"{where}: is {value!r}, which does not match {schema['pattern']}"
  if isinstance(value, int) and not (
      schema.get("minimum", value) <= value <= schema.get("maximum", value)
  ):
    yield f"{where}: is {value}"


def _fields(value: Any, schema: dict[str, Any], where: Path = ()) -> Iterator[Path]:
  """Places of all fields whose names the schema gives."""
  if isinstance(value, dict):
    for name in schema.get("properties", {}).keys() & value.keys():
      yield (*where, name)
      yield from _fields(value[name], schema["properties"][name], (*where, name))
  elif isinstance(value, list):
    for place, inner in enumerate(value):
      yield from _fields(inner, schema["items"], (*where, place))


def _parent(document: Any, place: Path) -> Any:
  for name in place[:-1]:
    document = document[name]
  return document


def test_every_field_is_one_of_a_jobsets() -> None:
  assert list(faults(JOBSET, SCHEMA)) == []


def test_a_misspelt_field_is_found_wherever_it_is() -> None:
  places = list(_fields(JOBSET, SCHEMA))
  assert len(places) > 35
  for place in places:
    changed = copy.deepcopy(JOBSET)
    parent = _parent(changed, place)
    parent[f"{place[-1]}s"] = parent.pop(place[-1])
    assert f"{place[:-1]}: has no field {place[-1]}s" in list(faults(changed, SCHEMA))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("apiVersion",), "jobset.x-k8s.io/v1"),
        (("metadata", "name"), "mla_jax"),
        (("spec", "failurePolicy", "maxRestarts"), "100"),
        (("spec", "failurePolicy"), None),
        (("spec", "replicatedJobs"), {"name": "hosts"}),
        ((*JOB, "backoffLimit"), -1),
        ((*JOB, "parallelism"), True),
        ((*JOB, "template", "metadata", "annotations", "gke-gcsfuse/volumes"), True),  # Unquoted.
        ((*POD, "restartPolicy"), "Always"),
        ((*POD, "nodeSelector", "cloud.google.com/gke-tpu-topology"), 16),
        ((*POD, "serviceAccountName"), ["mla-jax"]),
        ((*CONTAINER, "command"), "python -m mla_jax.main"),
        ((*CONTAINER, "args", 0), {"--config": "c"}),
        ((*CONTAINER, "ports", 0, "containerPort"), 84710),
        ((*CONTAINER, "resources", "limits", "google.com/tpu"), "four"),
    ],
)
def test_a_wrong_value_is_found(place: Path, value: Any) -> None:
  changed = copy.deepcopy(JOBSET)
  _parent(changed, place)[place[-1]] = value
  (fault,) = faults(changed, SCHEMA)
  assert fault.startswith(f"{place}: ")


@pytest.mark.parametrize(
    "place", [("kind",), (*JOB, "template"), (*CONTAINER, "name"), (*POD, "volumes", 0, "name")]
)
def test_what_is_required_is_missed(place: Path) -> None:
  changed = copy.deepcopy(JOBSET)
  del _parent(changed, place)[place[-1]]
  assert list(faults(changed, SCHEMA)) == [f"{place[:-1]}: lacks {place[-1]}"]
