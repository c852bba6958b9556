"""What is said in a video: `{"vid_name", "sub": [{"text", "start", "end"}]}`, a line a video."""

from collections.abc import Collection, Mapping, Sequence
import pathlib
from typing import Any

from mla_jax.data.annotations import files
from mla_jax.data.annotations.schema import Subtitle
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError


def read_subtitles(
    directory: pathlib.Path, names: Sequence[str]
) -> tuple[dict[str, tuple[Subtitle, ...]], list[str]]:
  """Video -> its subtitles, from the first of the files that is there; and notes.

  Lines without a text are left out and counted; an end before its start becomes the start.

  Raises:
    UserError: a malformed entry, a video twice, a file without subtitles.
  """
  path = files.find_any(directory, names)
  if path is None:
    return {}, [f"{names[0]}: not there: the questions have no subtitles"]
  spoken: dict[str, tuple[Subtitle, ...]] = {}
  tally = Tally(path)
  for where, record in files.read_records(path):
    video = files.check_id(files.field(record, "vid_name", str, where), f"{where}: 'vid_name'")
    lines = [_read_line(line, f"{where}: 'sub' {number}", tally)
             for number, line in enumerate(files.field(record, "sub", list, where))]
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
