"""Mutated files of every dataset: one clear line or a valid result, never anything else."""

import functools
import pathlib
import random

import pytest

from mla_jax.data import annotations
from mla_jax.data.annotations.schema import Annotations
from tests.data.annotations import layouts, layouts_more, mutations, validity

_FEW, _MANY = 200, 2000
_SEEDS = [
    pytest.param(range(_FEW), id="few"),
    pytest.param(range(_FEW, _MANY), id="many", marks=pytest.mark.slow),
]
_LAYOUTS = layouts.FILES | layouts_more.FILES


@functools.cache
def _texts(layout: str) -> dict[str, str]:
  return {name: layouts.text(name, content) for name, content in _LAYOUTS[layout].items()}


@functools.cache
def _others() -> dict[str, str]:
  return {f"{layout} {name}": text for layout in _LAYOUTS for name, text in _texts(layout).items()}


def _write(folder: mutations.Folder, directory: pathlib.Path) -> None:
  for path in directory.iterdir():
    path.unlink()
  for name, content in folder.items():
    (directory / name).write_bytes(content)


def _fuzz(layout: str, directory: pathlib.Path, seeds: range) -> None:
  read = 0
  for seed in seeds:
    folder = mutations.mutate(_texts(layout), _others(), random.Random(f"{layout} {seed}"))
    _write(folder, directory)
    try:
      read += validity.read_or_user_error(layout.split()[0], directory) is not None
    except Exception as error:
      raise AssertionError(f"{layout}: mutation {seed}: {error!r}: {folder}") from error
  assert 0 < read < len(seeds)  # Some mutations are harmless; most are not.


def _pieces(read: Annotations) -> int:
  """Texts, and the sentences of those that have several."""
  return sum(max(1, len(item.segments)) for item in read.items)


def _change_values(layout: str, directory: pathlib.Path, seeds: range) -> None:
  """A wrong value costs no text or sentence without a word: an error, or a new note."""
  dataset = layout.split()[0]
  valid = {name: text.encode() for name, text in _texts(layout).items()}
  _write(valid, directory)
  good = annotations.read(dataset, directory)
  for seed in seeds:
    rng = random.Random(f"value {layout} {seed}")
    name = rng.choice(sorted(valid))
    changed = mutations.change_value(valid[name], rng)
    _write(valid | {name: changed}, directory)
    read = validity.read_or_user_error(dataset, directory)
    if read is not None and _pieces(read) < _pieces(good):
      said = set(read.notes) - set(good.notes)
      assert said, f"{layout}: value {seed}: {name} is now {changed!r}"


def test_every_dataset_has_a_layout() -> None:
  assert set(layouts.FILES) == set(annotations.DATASETS)


@pytest.mark.parametrize("seeds", _SEEDS)
@pytest.mark.parametrize("layout", _LAYOUTS)
def test_mutations(layout: str, seeds: range, tmp_path: pathlib.Path) -> None:
  _fuzz(layout, tmp_path, seeds)


@pytest.mark.parametrize("seeds", _SEEDS)
@pytest.mark.parametrize("layout", _LAYOUTS)
def test_no_text_is_dropped_silently(layout: str, seeds: range, tmp_path: pathlib.Path) -> None:
  _change_values(layout, tmp_path, seeds)
