"""Charades-STA: sentences to localise in videos of daily activities."""

import pathlib
import re

from mla_jax.data.annotations import files, moments, tables
from mla_jax.data.annotations.schema import Annotations, Count, Segment, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_LINES = {"train": 12408, "test": 3720}
_VIDEOS = {"train": 5338, "test": 1334}
_LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S+?)\s*##(.*)")


def read_localisation(directory: pathlib.Path) -> Annotations:
  """Reads `charades_sta_{train,test}.txt`: `3MSZA 24.3 30.4##person turn a light on.`

  Every line is a query with one moment. The videos' lengths come from
  `Charades_v1_{train,test}.csv` (columns `id` and `length`) where they lie beside them; windows are
  then clipped to the video. Lines whose end is not after their start (4 of train) are left out, and
  named in a note.

  Raises:
    UserError: no file, a malformed line, an empty sentence, a line twice, a split of which no line
      is left.
  """
  found, notes = files.by_split(
      directory, {split: [f"charades_sta_{split}.txt"] for split in _LINES})
  items: list[TextItem] = []
  videos: dict[str, None] = {}
  sizes = []
  for split, path in found.items():
    tally = Tally(path)
    lines = files.read_lines(path)
    lengths = _read_lengths(directory, split, notes)
    queries = _read_lines(path, split, lines, lengths, tally)
    if not queries:
      raise UserError(f"{path}: split {split} has no query: get the file again or take it out")
    named = dict.fromkeys(line.split()[0] for _, line in lines)
    sizes += [Count(f"{split} lines", len(lines), _LINES[split]),
              Count(f"{split} videos", len(named), _VIDEOS[split]),
              Count(f"{split} queries", len(queries), None)]
    videos |= named
    items += queries
    notes += tally.notes()
  return Annotations(
      "charades", "localisation", tuple(items), tuple(Video(name, (name,)) for name in videos),
      tuple(sizes), tuple(notes))


def _read_lines(
    path: pathlib.Path,
    split: str,
    lines: list[tuple[int, str]],
    lengths: dict[str, float],
    tally: Tally,
) -> list[TextItem]:
  items = []
  seen: dict[str, None] = {}
  for number, line in lines:
    where = f"{path}: line {number}"
    match = _LINE.fullmatch(line)
    if match is None:
      raise UserError(
          f"{where} is {files.short(line)}, not 'VIDEO START END##SENTENCE': {files.MEND}")
    video = files.check_id(match[1], where)
    times = (tables.parse_seconds(match[2], f"{where}: the start"),
             tables.parse_seconds(match[3], f"{where}: the end"))
    text = tally.text(match[4], f"{where}: the sentence", "sentences")
    # By the values: `1 3.0` says what `1 3` does.
    key = f"{video} {times[0]} {times[1]}##{text}"
    files.add_new(seen, key, None, f"{where}: line")
    duration = lengths.get(video, float("nan"))
    if lengths and video not in lengths:
      tally.add("queries are of a video without a length: times as they are")
    window = moments.clip_window(
        times, duration, tally, what="queries", otherwise="left out",
        place=f"line {number}: {video} {times[0]:g}-{times[1]:g}")
    if window:
      items.append(TextItem(
          f"{split}@{number}", video, split, text, (Segment(0, len(text), *window),),
          moments=(window,), duration=duration))
  return items


def _read_lengths(directory: pathlib.Path, split: str, notes: list[str]) -> dict[str, float]:
  """Video -> seconds."""
  name = f"Charades_v1_{split}.csv"
  path = files.find(directory, name)
  if path is None:
    notes.append(f"{name}: not there: the lengths of {split}'s videos are unknown, windows are not "
                 "clipped")
    return {}
  lengths: dict[str, float] = {}
  for where, row in tables.read_table(path, ["id", "length"]):
    length = tables.parse_seconds(row["length"], f"{where}: 'length'")
    if length <= 0:
      raise UserError(f"{where}: 'length' is {length:g}, not above 0: {files.MEND}")
    files.add_new(lengths, row["id"], length, f"{where}: video")
  return lengths
