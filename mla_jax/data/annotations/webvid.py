"""WebVid: short stock videos and what their sites call them, for retrieval and pretraining.

Nobody has read the ten million captions of the full set: what cannot be used in them is left out
and counted, while a damaged table is an error.
"""

import pathlib
import re

from mla_jax.data.annotations import files, tables
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_NAMES = {  # Both sets are validated on the same videos.
    "train": ["results_10M_train.csv", "results_2M_train.csv"],
    "val": ["results_10M_val.csv", "results_2M_val.csv"],
}
_COLUMNS = ("videoid", "duration", "page_dir", "name")
_ROWS = {  # Of the smaller training set only "2.5M" is published.
    "results_10M_train.csv": 10_727_607, "results_10M_val.csv": 5000, "results_2M_val.csv": 5000}
_DURATION = re.compile(r"PT([0-9]{2,4})H([0-9]{2})M([0-9]{2})S")


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """Every row of a table is a text about a video of its own.

  `results_10M_{train,val}.csv` or `results_2M_{train,val}.csv`: columns
  `videoid,contentUrl,duration,page_dir,name` in any order, others are ignored; `contentUrl` may be
  missing. A video's file is `page_dir/videoid.*`, as the downloaders leave it, or `videoid.*`.

  Left out and counted: rows without a name, and repeated rows. A video with two names has two
  texts. Line breaks and runs of blanks inside a name become one blank.

  Raises:
    UserError: no file, a missing column, a row of another width, an unsafe id or folder, a
      duration in another form, a video in two folders, a file without a text.
  """
  found, notes = files.by_split(directory, _NAMES)
  items: list[TextItem] = []
  folders: dict[str, str] = {}
  counts = []
  for split, path in found.items():
    tally = Tally(path)
    before, rows = len(items), 0
    texts: dict[str, list[str]] = {}
    for where, row in tables.stream_table(path, _COLUMNS, multiline=True):
      rows += 1
      item = _text(split, row, where, texts, folders, tally)
      if item is not None:
        items.append(item)
    if len(items) == before:
      raise UserError(f"{path}: has no text: get the file again or take it out")
    counts += [Count(f"{split} rows", rows, _ROWS.get(path.name.removesuffix(".gz"))),
               Count(f"{split} videos", len(texts), None),
               Count(f"{split} texts", len(items) - before, None)]
    notes += tally.notes()
  videos = tuple(Video(name, (f"{folder}/{name}", name)) for name, folder in folders.items())
  return Annotations(
      "webvid", "retrieval", tuple(items), videos, tuple(counts), tuple(notes),
      licence="research, not commercial: see the terms of the dataset; the videos are their "
      "owners', and some are no longer there")


def _text(
    split: str,
    row: dict[str, str],
    where: str,
    texts: dict[str, list[str]],
    folders: dict[str, str],
    tally: Tally,
) -> TextItem | None:
  """A row's text; None where it has none, or one that its video has already in this split."""
  video = files.check_id(row["videoid"].strip(), f"{where}: 'videoid'")
  folder = files.check_id(row["page_dir"].strip(), f"{where}: 'page_dir'")
  duration = _seconds(row["duration"], f"{where}: 'duration'", tally)
  name = " ".join(row["name"].split())
  if not name:
    tally.add("rows have no name: left out", video)
    return None
  text = files.clean_text(name, f"{where}: 'name'")
  files.same(folders, video, folder, f"{where}: the folder")
  before = texts.setdefault(video, [])
  if text in before:
    tally.add("rows are there twice: left out", video)
    return None
  if before:
    tally.add("videos have a further name: a further text", video)
  before.append(text)
  return TextItem(
      f"{split}@{video}@{len(before) - 1}", video, split, text, duration=duration)


def _seconds(value: str, where: str, tally: Tally) -> float:
  """`PT00H01M05S` as seconds; NaN where it is 0."""
  match = _DURATION.fullmatch(value.strip())
  if match is None:
    raise UserError(f"{where} is {files.short(value)}, not in the form PT00H01M05S: {files.MEND}")
  hours, minutes, seconds = map(int, match.groups())
  total = float(3600 * hours + 60 * minutes + seconds)
  if not total:
    tally.add("rows have a duration of 0: taken as unknown")
  return total or float("nan")
