"""LSMDC: sentences about movie clips, for retrieval."""

import pathlib
import re

from mla_jax.data.annotations import counts, files, tables
from mla_jax.data.annotations.schema import Annotations, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_NAMES = {
    "train": ["LSMDC16_annos_training.csv"],
    "val": ["LSMDC16_annos_val.csv"],
    "test": ["LSMDC16_challenge_1000_publictect.csv"],
}
_SENTENCES: dict[str, int | None] = {"train": 101079, "val": 7408, "test": 1000}
_VIDEOS: dict[str, int | None] = {"test": 1000}
_HEADER = "CLIP_ID"  # The first column's name, in copies that were given a header.
_COLUMNS = 6  # Clip, start and end aligned, start and end extracted, sentence.
_CLIP = re.compile(r"(.+)_[0-9]{2}(\.[0-9]{2}){2}\.[0-9]{3}-[0-9]{2}(\.[0-9]{2}){2}\.[0-9]{3}")


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """Tables without a header, six columns separated by tabs: the first is the clip, the last its
  sentence. A clip may have several sentences; its file is `CLIP` or `MOVIE/CLIP`. A header that
  somebody added, `CLIP_ID` and so on, is left out and counted.

  Raises:
    UserError: no file, a row without exactly six columns, an empty sentence, a row twice.
  """
  found, notes = files.by_split(directory, _NAMES)
  items: list[TextItem] = []
  for split, path in found.items():
    tally = Tally(path)
    sentences: dict[str, list[str]] = {}
    for number, line in files.read_lines(path):
      where = f"{path}: line {number}"
      row = line.split("\t")
      tables.check_width(row, _COLUMNS, f"{where} cut at tabs")
      if not sentences and row[0].strip() == _HEADER:
        tally.add("header rows: left out")
        continue
      clip = files.check_id(row[0].strip(), where)
      text = tally.text(row[-1], f"{where}: the sentence", "sentences")
      if text in sentences.setdefault(clip, []):
        tally.add("sentences are there twice for their clip: kept as they are")
      items.append(TextItem(f"{split}@{clip}@{len(sentences[clip])}", clip, split, text))
      sentences[clip].append(text)
    if not sentences:
      raise UserError(f"{path}: has no sentence: get the file again or take it out")
    notes += tally.notes()
  videos = tuple(map(_video, dict.fromkeys(item.video_id for item in items)))
  return Annotations(
      "lsmdc", "retrieval", tuple(items), videos,
      tuple(counts.split_counts(items, "sentences", _SENTENCES, _VIDEOS)), tuple(notes),
      licence="the MPII movie description licence: see the site of the dataset")


def _video(clip: str) -> Video:
  match = _CLIP.fullmatch(clip)
  return Video(clip, (clip, f"{match[1]}/{clip}") if match else (clip,))
