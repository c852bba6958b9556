"""ActivityNet Captions: paragraphs to retrieve videos by, and sentences to localise.

A video's id has `v_` in front of its YouTube name; its file may be called either.
"""

import pathlib

from mla_jax.data.annotations import files, paragraphs
from mla_jax.data.annotations.paragraphs import TimedVideo
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_NAMES = {  # The second names are those of 2D-TAN's copy.
    "train": ["train.json"],
    "val_1": ["val_1.json", "val.json"],
    "val_2": ["val_2.json", "test.json"],
}
OFFICIAL = {  # Videos and sentences.
    "train": (10009, 37421), "val_1": (4917, 17505), "val_2": (4885, 17031)}


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """One text a video: its sentences in the file's order, each a segment with its times.

  Files: `train.json`, `val_1.json` (or `val.json`), `val_2.json` (or `test.json`), in the layout of
  `paragraphs.read_timed`. Videos are retrieved in val_1; val_2 has other sentences about 4,885 of
  its videos.

  Raises:
    UserError: no file, a malformed entry, an empty sentence, a video with two durations.
  """
  splits, notes = _read(directory, "kept without times")
  items = [paragraphs.paragraph(f"{timed.video_id}@{split}", timed.video_id, split, timed.sentences)
           for split, videos in splits.items() for timed in videos if timed.sentences]
  return _annotations("retrieval", items, splits, notes)


def read_localisation(directory: pathlib.Path) -> Annotations:
  """Every sentence is a query with one moment. Files and errors: see `read_retrieval`.

  Sentences whose end is not after their start (4 of train) are left out, and named in a note.
  """
  splits, notes = _read(directory, "left out")
  items = [query for split, videos in splits.items()
           for timed in videos for query in paragraphs.queries(timed, split)]
  return _annotations("localisation", items, splits, notes)


def video(name: str) -> Video:
  """The video of an id that begins with `v_`."""
  return Video(name, (name, name[2:]) if name.startswith("v_") and len(name) > 2 else (name,))


def _read(directory: pathlib.Path, otherwise: str) -> tuple[dict[str, list[TimedVideo]], list[str]]:
  found, notes = files.by_split(directory, _NAMES)
  durations: dict[str, float] = {}
  splits: dict[str, list[TimedVideo]] = {}
  for split, path in found.items():
    tally = Tally(path)
    splits[split] = []
    for timed in paragraphs.read_timed(path, tally, otherwise):
      files.same(durations, timed.video_id, timed.duration, f"{path}: the duration")
      splits[split].append(timed)
      if not timed.sentences:
        tally.add("videos have no sentence: no text", timed.video_id)
    if not any(timed.sentences for timed in splits[split]):
      raise UserError(f"{path}: has no sentence: get the file again or take it out")
    notes += tally.notes()
  return splits, notes


def _annotations(
    task: str, items: list[TextItem], splits: dict[str, list[TimedVideo]], notes: list[str]
) -> Annotations:
  counts = []
  for split, timed in splits.items():
    videos, sentences = OFFICIAL[split]
    counts += [Count(f"{split} videos", len(timed), videos),
               Count(f"{split} sentences", sum(len(one.sentences) for one in timed), sentences)]
  names = dict.fromkeys(timed.video_id for every in splits.values() for timed in every)
  return Annotations(
      "activitynet", task, tuple(items), tuple(map(video, names)), tuple(counts), tuple(notes))
