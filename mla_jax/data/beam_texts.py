"""Texts cut into phrases by a Beam pipeline: of millions of captions that is what takes hours."""

import dataclasses
import functools
import pathlib

from mla_jax.data import beam_tasks
from mla_jax.data.annotations.schema import Annotations, Segment, TextItem
from mla_jax.data.beam_tasks import Beam, Part
from mla_jax.data.segments import cut_text

_PART = 8192  # Some seconds for a task.
_FOLDER = "beam_texts"


def cut_texts(
    beam: Beam, family: pathlib.Path, annotations: Annotations, spacy_model: str | None
) -> Annotations:
  """The annotations with the segments that `prepare_texts` would cut of each text without any.

  Args:
    beam: runs the tasks.
    family: folder of the output in which they keep theirs.
    annotations: as read.
    spacy_model: cuts instead of the rules of `segments.py`.
  """
  folder = family.absolute() / _FOLDER / annotations.task
  folder.parent.mkdir(exist_ok=True)
  uncut = (item.text for item in annotations.items if not item.segments)
  parts = beam_tasks.write_list(folder, {"spacy_model": spacy_model}, uncut, _PART)
  beam.run("texts", functools.partial(_cut_part, folder, spacy_model), parts)
  cut = (spans for number, _ in parts for spans in beam_tasks.read_json(_outcome(folder, number)))
  items = tuple(item if item.segments else _with_segments(item, next(cut))
                for item in annotations.items)
  return dataclasses.replace(annotations, items=items)


def clear(family: pathlib.Path) -> None:
  """Removes what the tasks left, once the texts are written."""
  beam_tasks.clear(family.absolute() / _FOLDER)


def _cut_part(folder: pathlib.Path, spacy_model: str | None, part: Part) -> None:
  path = _outcome(folder, part[0])
  if path.exists():
    return
  texts = beam_tasks.read_part(folder, part, _PART)
  spans = [[(segment.start, segment.end) for segment in cut_text(text, spacy_model)]
           for text in texts]
  beam_tasks.write_json(path, spans)


def _with_segments(item: TextItem, spans: list[tuple[int, int]]) -> TextItem:
  return dataclasses.replace(item, segments=tuple(Segment(*span) for span in spans))


def _outcome(folder: pathlib.Path, part: int) -> pathlib.Path:
  return folder / f"part-{part:05d}.json"
