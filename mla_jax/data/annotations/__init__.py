"""Readers of the datasets' own annotation files, by dataset name."""

from collections.abc import Callable
import importlib
import pathlib
from typing import TypeAlias

from mla_jax.data.annotations.schema import Annotations
from mla_jax.errors import UserError, check_choice

Reader: TypeAlias = Callable[[pathlib.Path], Annotations]


def _lazy(module: str, function: str) -> Reader:
  def reader(directory: pathlib.Path) -> Annotations:
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)(directory)

  return reader


DATASETS: dict[str, Reader] = {
    "msrvtt_retrieval": _lazy("msrvtt", "read_retrieval"),
    "msrvtt_qa": _lazy("msrvtt", "read_qa"),
    "msvd_retrieval": _lazy("msvd", "read_retrieval"),
    "msvd_qa": _lazy("msvd", "read_qa"),
    "timed_captions": _lazy("timed_captions", "read_timed_captions"),
    "demo_retrieval": _lazy("demo", "read_retrieval"),
    "demo_qa": _lazy("demo", "read_qa"),
    "demo_timed_captions": _lazy("demo", "read_timed_captions"),
}


def read(dataset: str, directory: pathlib.Path) -> Annotations:
  """Reads and checks a dataset's annotation files.

  Args:
    dataset: a name in `DATASETS`.
    directory: holds the dataset's files under their official names, `.json` ones also gzipped.

  Raises:
    UserError: unknown dataset, no such directory, or a file that is missing, malformed or empty.
  """
  check_choice("dataset", dataset, DATASETS)
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    raise UserError(f"{directory}: no such folder: give the folder of {dataset}'s annotation files")
  annotations = DATASETS[dataset](directory)
  _check(annotations, directory)
  return annotations


def _check(annotations: Annotations, directory: pathlib.Path) -> None:
  """What `prepare` relies on, whichever reader it was."""
  from mla_jax.data.annotations import files

  videos: dict[str, None] = {}
  for video in annotations.videos:
    name = files.check_id(video.video_id, str(directory))
    files.add_new(videos, name, None, f"{directory}: video")
  items: dict[str, None] = {}
  for item in annotations.items:
    name = files.check_id(item.item_id, str(directory))
    files.add_new(items, name, None, f"{directory}: text")
    if item.video_id not in videos:
      raise UserError(
          f"{directory}: text {item.item_id} is of video {item.video_id}, which the files do not "
          "list: repair the annotation files")
  if not items:
    raise UserError(f"{directory}: holds no text at all: check that it is the right folder")
