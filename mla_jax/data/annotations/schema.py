"""What every annotation reader returns: texts, the videos they speak of, counts to check.

Slots, since the largest sets have tens of millions of them.
"""

import dataclasses
from typing import NamedTuple


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
  """A span of a text: `text[start:end]` in characters, and the seconds of video it describes.

  `start_time` and `end_time` are NaN where the annotation gives no times.
  """

  start: int
  end: int
  start_time: float = float("nan")
  end_time: float = float("nan")


class Subtitle(NamedTuple):
  """What is said in a video between two times in seconds."""

  text: str
  start: float
  end: float


@dataclasses.dataclass(frozen=True, slots=True)
class TextItem:
  """One text of a dataset: a caption, a paragraph, a query, or a question with its answer.

  Attributes:
    item_id: unique within the dataset.
    video_id: the video it is about.
    split: the split it belongs to.
    text: the caption, query or question; empty only where the candidates say it all (MSRVTT-MC).
    segments: spans of the text; empty: `prepare` cuts the text into phrases.
    answer: of a question, open-ended or multiple choice; empty where it is hidden or a number.
    question_type: e.g. "what", "CW"; empty where the dataset has no types.
    candidates: of a multiple-choice question, in the order in which they are shown.
    answer_index: of the right candidate; -1 where there is none or it is hidden.
    count: the raw label of a counting question; -1 where it is none.
    references: further right answers of an open-ended question; of a multiple-choice one its
      answer once more where every candidate of that text is right.
    moments: windows (start, end) in seconds that show what the text says, start < end, inside the
      video where its length is known (NExT-GQA's alone may reach beyond its ends). Several are
      several annotators' answers to the same question in DiDeMo (in the file's order), and parts
      of one answer everywhere else.
    saliency: rows (clip, score, score, score) of QVHighlights: clip i is the seconds 2i to 2i + 2,
      the scores of its three annotators are 0 (very bad) to 4 (very good).
    duration: seconds of the video as the annotation states them; NaN where it does not.
    subtitles: what is said in the video, in the order of time.
  """

  item_id: str
  video_id: str
  split: str
  text: str
  segments: tuple[Segment, ...] = ()
  answer: str = ""
  question_type: str = ""
  candidates: tuple[str, ...] = ()
  answer_index: int = -1
  count: int = -1
  references: tuple[str, ...] = ()
  moments: tuple[tuple[float, float], ...] = ()
  saliency: tuple[tuple[int, int, int, int], ...] = ()
  duration: float = float("nan")
  subtitles: tuple[Subtitle, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Video:
  """A video the annotations name, and how its media may be called in a media folder.

  Attributes:
    video_id: unique within the family.
    media_names: file stems, the first that is there counts; "folder/stem" is looked up one folder
      down.
    source_names: stems of a longer file that holds the video; looked up after `media_names`.
    source_span: the seconds of that file which are the video.
    max_duration: so many seconds from the beginning of its own file are the video.
  """

  video_id: str
  media_names: tuple[str, ...]
  source_names: tuple[str, ...] = ()
  source_span: tuple[float, float] = (0.0, float("inf"))
  max_duration: float = float("inf")


@dataclasses.dataclass(frozen=True)
class Count:
  """A number found in the files beside the dataset's official one; None where there is none."""

  name: str
  found: int
  official: int | None


@dataclasses.dataclass(frozen=True)
class Annotations:
  """A dataset's annotation files, read and checked.

  Attributes:
    family: datasets of one family share their media, e.g. "msrvtt".
    task: e.g. "retrieval", "qa", "localisation": the folder of the texts inside the family.
    items: every text of every split, in the order of the files.
    videos: every video the files list, with or without a text, unique ids.
    counts: sizes to print and compare.
    notes: what was repaired or left out, one line each; nothing is dropped silently.
    licence: the terms of the annotations and videos, as far as their publishers name them.
    leakage: known overlaps with the test videos of a sister dataset; empty: none known.
  """

  family: str
  task: str
  items: tuple[TextItem, ...]
  videos: tuple[Video, ...]
  counts: tuple[Count, ...]
  notes: tuple[str, ...] = ()
  licence: str = "see the site of the dataset"
  leakage: str = ""
