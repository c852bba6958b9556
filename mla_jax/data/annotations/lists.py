"""Lists of video names, one a line, one file a split; and the captions of listed videos."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import pathlib
from typing import Any

from mla_jax.data.annotations import files
from mla_jax.data.annotations.schema import Count, TextItem
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError


def read_lists(
    directory: pathlib.Path,
    names: Mapping[str, str],
    video_name: Callable[[str, str], str] = files.check_id,
    *,
    disjoint: bool = True,
) -> dict[str, list[str]]:
  """The videos of every list that is there; no split where there is no list.

  Args:
    directory: holds the lists.
    names: split -> file.
    video_name: from a line and the place to name in an error, to our video id.
    disjoint: no video may be in two lists.

  Raises:
    UserError: an unsafe name, a name listed twice, or a list without a name.
  """
  lists: dict[str, list[str]] = {}
  seen: dict[str, None] = {}
  for split, name in names.items():
    path = files.find(directory, name)
    if path is None:
      continue
    if not disjoint:
      seen = {}
    lists[split] = []
    for number, line in files.read_lines(path):
      where = f"{path}: line {number}"
      video = video_name(line, where)
      files.add_new(seen, video, None, f"{where}: video")
      lists[split].append(video)
    if not lists[split]:
      raise UserError(f"{path}: split {split} has no video: get the file again or take it out")
  return lists


def require_lists(
    directory: pathlib.Path, names: Mapping[str, str], *, disjoint: bool = True
) -> dict[str, list[str]]:
  """`read_lists`, or a `UserError` where there is no list at all."""
  found = read_lists(directory, names, disjoint=disjoint)
  if not found:
    raise UserError(f"{directory}: has none of {', '.join(names.values())}: "
                    "put the dataset's files there")
  return found


@dataclasses.dataclass(frozen=True)
class Captions:
  """The captions of listed videos, and what was counted on the way."""

  items: list[TextItem]
  counts: list[Count]
  notes: list[str]


def listed_captions(
    path: pathlib.Path,
    captions: Mapping[str, Any],
    listed: Mapping[str, Sequence[str]],
    official: Mapping[str, tuple[int | None, int | None]],
) -> Captions:
  """Every caption of every listed video as a text of its own.

  A video without captions stays a video, and a note says how many there are; another says how many
  videos have captions and are in no list. A caption of a further list has the list in its id.

  Args:
    path: the file of the captions, for messages.
    captions: video -> list of captions.
    listed: split -> videos.
    official: split -> published numbers of videos and captions.

  Raises:
    UserError: an empty caption, a value that is no list, a split without captions.
  """
  found = Captions([], [], [])
  tally = Tally(path)
  taken: set[str] = set()
  for split, names in listed.items():
    texts = [text for name in names for text in _texts(
        path, name, captions.get(name, []), split, tally, taken=name in taken)]
    if not texts:
      raise UserError(f"{path}: no caption for any of the {len(names)} videos of split "
                      f"{split}: check that the lists and the captions belong together")
    taken |= set(names)
    without = len(names) - len({text.video_id for text in texts})
    if without:
      found.notes.append(f"{split}: {without:,} of {len(names):,} videos have no caption")
    videos, sentences = official.get(split, (None, None))
    found.counts.extend([Count(f"{split} videos", len(names), videos),
                         Count(f"{split} captions", len(texts), sentences)])
    found.items.extend(texts)
  unlisted = sum(name not in taken for name in captions)
  if unlisted:
    found.notes.append(f"{path.name}: {unlisted:,} videos are in no list: left out")
  found.notes.extend(tally.notes())
  return found


def _texts(
    path: pathlib.Path, name: str, captions: Any, split: str, tally: Tally, *, taken: bool
) -> list[TextItem]:
  """A video's captions; `taken` where an earlier list has it too."""
  where = f"{path}: {name}"
  texts = [tally.text(caption, f"{where}: caption {number}", "captions")
           for number, caption in enumerate(files.expect(captions, list, where))]
  prefix = f"{split}@" if taken else ""
  return [TextItem(f"{prefix}{name}@{number}", name, split, text)
          for number, text in enumerate(texts)]
