"""What every annotation reader returns: texts, the videos they speak of, counts to check."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Segment:
  """A span of a text: `text[start:end]` in characters, and the seconds of video it describes.

  `start_time` and `end_time` are NaN where the annotation gives no times.
  """

  start: int
  end: int
  start_time: float = float("nan")
  end_time: float = float("nan")


@dataclasses.dataclass(frozen=True)
class TextItem:
  """One text of a dataset: a caption, a paragraph, or a question with its answer."""

  item_id: str  # Unique within the dataset.
  video_id: str
  split: str
  text: str
  segments: tuple[Segment, ...] = ()  # Empty: `prepare` cuts the text into phrases.
  answer: str = ""  # Questions only.
  question_type: str = ""  # Questions only, e.g. "what".


@dataclasses.dataclass(frozen=True)
class Video:
  """A video the annotations name, and the file stems it may have in a media folder."""

  video_id: str
  media_names: tuple[str, ...]


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
    task: "retrieval", "qa" or "timed_captions": the folder of the texts inside the family.
    items: every text of every split, in the order of the files.
    videos: every video the files list, with or without a text, unique ids.
    counts: sizes to print and compare.
    notes: what was repaired or left out, one line each; nothing is dropped silently.
  """

  family: str
  task: str
  items: tuple[TextItem, ...]
  videos: tuple[Video, ...]
  counts: tuple[Count, ...]
  notes: tuple[str, ...] = ()
