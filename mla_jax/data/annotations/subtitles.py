"""What is said in a video, in two layouts.

- `.jsonl`, a line a video: `{"vid_name", "sub": [{"text", "start", "end"}]}`;
- `.json`, TVQA+'s own: `{video: {"sub_text": "a <eos> b", "sub_time": [0.5, 2.0]}}`. A time is the
  start of a line, which lasts to the start of the next one: jayleicn/TVQAplus:tvqa_dataset.py knows
  starts alone, and takes the two nearest for each frame.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
import itertools
import pathlib
from typing import Any

from mla_jax.data.annotations import files
from mla_jax.data.annotations.schema import Subtitle
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_BETWEEN = " <eos> "
_TO_THE_END = 1e6  # Seconds: where a clip's last line ends, since the clip's end is in no file.


def read_subtitles(
    directory: pathlib.Path, names: Sequence[str]
) -> tuple[dict[str, tuple[Subtitle, ...]], list[str]]:
  """Video -> its subtitles, from the first of the files that is there; and notes.

  Lines without a text are left out and counted; an end before its start becomes the start.

  Raises:
    UserError: a malformed entry, a video twice, other than one time a line, a file without
      subtitles.
  """
  path = files.find_any(directory, names)
  if path is None:
    return {}, [f"{names[0]}: not there: the questions have no subtitles"]
  spoken: dict[str, tuple[Subtitle, ...]] = {}
  tally = Tally(path)
  of_videos = _of_json if path.name.removesuffix(".gz").endswith(".json") else _of_jsonl
  for where, video, entries in of_videos(path):
    lines = [_read_line(line, f"{where}: 'sub' {number}", tally)
             for number, line in enumerate(entries)]
    files.add_new(spoken, video, tuple(filter(None, lines)), f"{where}: video")
  if not any(spoken.values()):
    raise UserError(f"{path}: has no subtitle: {files.MEND}")
  return spoken, list(tally.notes())


def check_spoken(
    directory: pathlib.Path,
    spoken: Mapping[str, Sequence[Subtitle]],
    videos: Collection[str],
    names: Sequence[str],
) -> list[str]:
  """A note about videos without subtitles.

  Raises:
    UserError: there are subtitles, and they are of none of the videos.
  """
  if not spoken:
    return []
  silent = sum(not spoken.get(video) for video in videos)
  if silent == len(videos):
    raise UserError(f"{files.find_any(directory, names)}: has no subtitle of any of the "
                    f"{len(videos):,} videos asked about: put the file of this dataset there")
  return [f"{silent:,} of {len(videos):,} videos have no subtitles"] if silent else []


def _of_jsonl(path: pathlib.Path) -> Iterator[tuple[str, str, list[Any]]]:
  """Place, video and lines, `{"text", "start", "end"}`, of each video."""
  for where, record in files.read_records(path):
    video = files.check_id(files.field(record, "vid_name", str, where), f"{where}: 'vid_name'")
    yield where, video, files.field(record, "sub", list, where)


def _of_json(path: pathlib.Path) -> Iterator[tuple[str, str, list[Any]]]:
  """As `_of_jsonl`."""
  for video, record in files.read_json(path, dict).items():
    where = f"{path}: {files.short(video)}"
    record = files.expect(record, dict, where)
    said = files.field(record, "sub_text", str, where)
    texts = said.split(_BETWEEN) if said.strip() else []
    times = [files.finite(time, f"{where}: 'sub_time'")
             for time in files.field(record, "sub_time", list, where)]
    if len(texts) != len(times):
      raise UserError(f"{where}: 'sub_text' has {len(texts)} lines between '<eos>' and 'sub_time' "
                      f"{len(times)} times: {files.MEND}")
    yield where, files.check_id(video, where), [
        {"text": text, "start": start, "end": end}
        for text, (start, end) in zip(
            texts, itertools.pairwise([*times, _TO_THE_END]), strict=True)]


def _read_line(line: Any, where: str, tally: Tally) -> Subtitle | None:
  line = files.expect(line, dict, where)
  text = " ".join(files.field(line, "text", str, where).split())
  start, end = (files.finite(line.get(key), f"{where}: {key!r}") for key in ("start", "end"))
  if not text:
    tally.add("subtitles are empty: left out")
    return None
  if end < start:
    tally.add("subtitles end before they start: ended at their start")
  return Subtitle(files.clean_text(text, where), start, max(start, end))
