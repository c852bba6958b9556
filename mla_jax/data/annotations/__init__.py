"""Readers of the datasets' own annotation files, by dataset name."""

from collections.abc import Callable
import dataclasses
import importlib
import pathlib
import re
from typing import TypeAlias

from mla_jax.data.annotations import repeats
from mla_jax.data.annotations.schema import Annotations, TextItem
from mla_jax.errors import UserError, check_choice

Reader: TypeAlias = Callable[[pathlib.Path], Annotations]


def _lazy(module: str, function: str) -> Reader:
  def reader(directory: pathlib.Path) -> Annotations:
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)(directory)

  return reader


DATASETS: dict[str, Reader] = {
    "msrvtt_retrieval": _lazy("msrvtt", "read_retrieval"),
    "msrvtt_qa": _lazy("msrvtt", "read_qa"),
    "msrvtt_mc": _lazy("msrvtt_mc", "read_mc"),
    "msvd_retrieval": _lazy("msvd", "read_retrieval"),
    "msvd_qa": _lazy("msvd", "read_qa"),
    "didemo_retrieval": _lazy("didemo", "read_retrieval"),
    "didemo_localisation": _lazy("didemo", "read_localisation"),
    "activitynet_retrieval": _lazy("activitynet", "read_retrieval"),
    "activitynet_localisation": _lazy("activitynet", "read_localisation"),
    "activitynet_qa": _lazy("activitynet_qa", "read_qa"),
    "tgif_qa_action": _lazy("tgif_qa", "read_action"),
    "tgif_qa_transition": _lazy("tgif_qa", "read_transition"),
    "tgif_qa_count": _lazy("tgif_qa", "read_count"),
    "tgif_qa_frameqa": _lazy("tgif_qa", "read_frameqa"),
    "nextqa": _lazy("nextqa", "read_qa"),
    "nextqa_oe": _lazy("nextqa", "read_oe"),
    "nextgqa": _lazy("nextgqa", "read_gqa"),
    "how2qa": _lazy("how2qa", "read_qa"),
    "tvqa": _lazy("tvqa", "read_tvqa"),
    "tvqa_plus": _lazy("tvqa", "read_tvqa_plus"),
    "lsmdc_retrieval": _lazy("lsmdc", "read_retrieval"),
    "vatex_retrieval": _lazy("vatex", "read_retrieval"),
    "youcook2_retrieval": _lazy("youcook2", "read_retrieval"),
    "charades_sta": _lazy("charades_sta", "read_localisation"),
    "qvhighlights": _lazy("qvhighlights", "read_localisation"),
    "webvid_retrieval": _lazy("webvid", "read_retrieval"),
    "howto100m": _lazy("howto100m", "read_narrations"),
    "timed_captions": _lazy("timed_captions", "read_timed_captions"),
    "timed_localisation": _lazy("timed_captions", "read_localisation"),
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
  notes = (*annotations.notes, *repeats.repeat_notes(annotations.items),
           *_shared_videos(annotations.items))
  return dataclasses.replace(annotations, notes=notes)


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
  for split in {item.split for item in annotations.items}:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_]*", split):
      raise UserError(f"{directory}: split {files.short(split)} is not a usable name: use letters, "
                      "digits and _")
  if not items:
    raise UserError(f"{directory}: holds no text at all: check that it is the right folder")


def _shared_videos(items: tuple[TextItem, ...]) -> list[str]:
  """Notes about training splits with videos that other splits hold too, as MSR-VTT's train_9k."""
  videos: dict[str, set[str]] = {}
  for item in items:
    videos.setdefault(item.split, set()).add(item.video_id)
  return [
      f"{train} shares {len(shared):,} videos with {other}: never train on it to be evaluated there"
      for train in videos if train.startswith("train")
      for other in videos if not other.startswith("train")
      if (shared := videos[train] & videos[other])
  ]
