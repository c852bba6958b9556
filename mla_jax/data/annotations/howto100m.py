"""HowTo100M: what is said in instructional videos, with times, for pretraining.

A video is cut into clips of 32 seconds, each a video of its own with what is said in it: in a clip
of that length a sentence of some seconds can be told apart by its time, in minutes it cannot.
Speech recognition made the texts: what cannot be used in them is left out and counted.
"""

from collections.abc import Iterator
import math
import pathlib
from typing import Any

from mla_jax.data.annotations import files, moments, paragraphs
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

CLIP_SECONDS = 32
_NAMES = (  # The best first; caption.json lacks the words its makers took for stop words.
    "sentencified_htm_1200k.json",
    "sentencified_htm_730k.json",
    "sentencified_htm_370k.json",
    "raw_caption.json",
    "caption.json",
)
_VIDEOS = {"raw_caption.json": 1_238_911, "caption.json": 1_238_911}
_SUFFIXES = ("", ".mp4", ".webm")  # Released features are called VIDEO.mp4.npy or VIDEO.webm.npy.
_KEYS = ("start", "end", "text")


def read_narrations(directory: pathlib.Path) -> Annotations:
  """One text a clip: the lines that are said in it in the order of time, each a segment.

  The first that is there of `sentencified_htm_{1200k,730k,370k}.json` (whole sentences),
  `raw_caption.json` and `caption.json` (lines as they are shown): `{video: {"start": [seconds],
  "end": [seconds], "text": [...]}}`. A line belongs to the clip that holds its middle; its times
  are clipped to the clip's. A clip is called VIDEO_START_END; its file has that name, or is those
  seconds of a video or feature file called VIDEO, VIDEO.mp4 or VIDEO.webm.

  Left out and counted: lines without a text (null or NaN, as tables write them, too), lines whose
  end is not after their start, videos without a line.

  Raises:
    UserError: no file, a malformed entry, lists of different lengths, a time that is no finite
      number, a file without a line.
  """
  path = files.find_any(directory, _NAMES)
  if path is None:
    raise UserError(f"{directory}: has none of {', '.join(_NAMES)} (or .gz): put the dataset's "
                    "file there")
  tally = Tally(path)
  items: list[TextItem] = []
  clips: list[Video] = []
  lines = 0
  records = files.read_json(path, dict)
  videos = len(records)
  for name in list(records):
    record = records.pop(name)  # Of the whole set both forms would not fit into memory.
    video = files.check_id(name, str(path))
    spoken = list(_lines(record, f"{path}: {files.short(name)}", tally))
    for item, clip in _clips(video, spoken):
      items.append(item)
      clips.append(clip)
    lines += len(spoken)
    if not spoken:
      tally.add("videos have no line: left out", video)
  if not items:
    raise UserError(f"{path}: has no line: get the file again or take it out")
  plain = path.name.removesuffix(".gz")
  counts = (Count("train videos", videos, _VIDEOS.get(plain)), Count("train lines", lines, None),
            Count("train clips", len(items), None))
  return Annotations(
      "howto100m", "timed_captions", tuple(items), tuple(clips), counts,
      (*files.unread(directory, _NAMES, path), *tally.notes()),
      licence="the videos are their owners', on YouTube's terms: see the site of the dataset",
      leakage="it may hold videos of other sets made from YouTube (YouCook2, MSR-VTT, CrossTask): "
      "compare the ids before a zero-shot evaluation")


def _lines(record: Any, where: str, tally: Tally) -> Iterator[tuple[str, float, float]]:
  record = files.expect(record, dict, where)
  starts, ends, texts = (files.field(record, key, list, where) for key in _KEYS)
  if not len(starts) == len(ends) == len(texts):
    raise UserError(f"{where}: {len(starts)} starts, {len(ends)} ends and {len(texts)} texts: "
                    f"{files.MEND}")
  for number, value in enumerate(texts):
    place = f"{where}: 'text' {number}"
    window = (files.finite(starts[number], f"{where}: 'start' {number}"),
              files.finite(ends[number], f"{where}: 'end' {number}"))
    if value is None or (isinstance(value, float) and math.isnan(value)):
      value = ""
    text = " ".join(files.expect(value, str, place).split())
    if not text:
      tally.add("lines have no text: left out")
      continue
    clipped = moments.clip_window(
        window, math.nan, tally, what="lines", otherwise="left out")
    if clipped is not None:
      yield (files.clean_text(text, place), *clipped)


def _clips(
    video: str, spoken: list[tuple[str, float, float]]
) -> Iterator[tuple[TextItem, Video]]:
  """The clips in which something is said, each with its text, in the order of time."""
  by_clip: dict[int, list[tuple[str, float, float]]] = {}
  for line in sorted(spoken, key=lambda line: line[1:]):
    by_clip.setdefault(int((line[1] + line[2]) / 2 // CLIP_SECONDS), []).append(line)
  for number in sorted(by_clip):
    first = number * CLIP_SECONDS
    last = first + CLIP_SECONDS
    name = f"{video}_{first}_{last}"
    # Of a line that reaches into the clip before or behind, the part inside.
    sentences = [(text, (max(start - first, 0.0), min(end, last) - first))
                 for text, start, end in by_clip[number]]
    sources = tuple(video + suffix for suffix in _SUFFIXES)
    clip = Video(name, (name,), sources, (float(first), float(last)))
    yield paragraphs.paragraph(name, name, "train", sentences), clip
