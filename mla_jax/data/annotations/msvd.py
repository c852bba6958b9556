"""MSVD: MSVD-QA (xudejing's files) and multi-caption retrieval (X-Pool's files).

Both call a video by its YouTube name, such as "-4wsuPCjDBc_5_15", so that they share media.
"""

import pathlib
import re
from typing import Any

from mla_jax.data.annotations import files, open_ended_qa
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.errors import UserError

_MAPPING = "youtube_mapping.txt"
_CAPTIONS = "captions_msvd.json"
_OFFICIAL_VIDEOS = 1970
_OFFICIAL_QA = open_ended_qa.Official(
    questions={"train": 30933, "val": 6415, "test": 13157},
    videos={"train": 1161, "val": 245, "test": 504},
    types={"what": 8149, "who": 4552, "how": 370, "when": 58, "where": 28},
)
_OFFICIAL_LISTED = {"train": 1200, "val": 100, "test": 670}
_OFFICIAL_CAPTIONS = {"train": 48774, "val": 4290, "test": 27763}


def read_qa(directory: pathlib.Path) -> Annotations:
  """MSVD-QA: `{train,val,test}_qa.json` and `youtube_mapping.txt` ("name vidN" a line).

  Raises:
    UserError: see `open_ended_qa.read_questions`; also a video number that the mapping lacks.
  """
  path = files.require(directory, _MAPPING)
  names = _read_mapping(path)

  def video_name(value: Any, where: str) -> str:
    number = files.expect(value, int, where)
    if number not in names:
      raise UserError(f"{where} is {files.short(number)}, which {path.name} does not name: "
                      "use the mapping that came with the questions")
    return names[number]

  questions = open_ended_qa.read_questions(directory, video_name, _OFFICIAL_QA)
  videos = tuple(Video(name, (name, f"vid{number}")) for number, name in names.items())
  counts = (Count("videos", len(videos), _OFFICIAL_VIDEOS), *questions.counts)
  return Annotations("msvd", "qa", questions.items, videos, counts, questions.notes)


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """MSVD retrieval: `{train,val,test}_list.txt` of video names and `captions_msvd.json`.

  Every caption is a text of its own; a listed video without captions stays as a video. Where
  `youtube_mapping.txt` lies beside them, a video's file may also be called vidN.

  Raises:
    UserError: no list, a malformed file, a name listed twice, a split without captions.
  """
  captions_path = files.require(directory, _CAPTIONS)
  captions = files.read_json(captions_path, dict)
  lists = _read_lists(directory)
  mapping = files.find(directory, _MAPPING)
  numbers = {name: n for n, name in _read_mapping(mapping).items()} if mapping else {}
  items: list[TextItem] = []
  counts = [Count("videos", sum(map(len, lists.values())), _OFFICIAL_VIDEOS)]
  notes = [f"{split}_list.txt: not there: no split {split}"
           for split in _OFFICIAL_LISTED if split not in lists]
  stripped = 0
  for split, names in lists.items():
    texts = []
    for name in names:
      found, blanks = _captions_of(captions, name, split, str(captions_path))
      texts += found
      stripped += blanks
    if not texts:
      raise UserError(f"{captions_path}: no caption for any of the {len(names)} videos of split "
                      f"{split}: check that the lists and the captions belong together")
    without = len(names) - len({text.video_id for text in texts})
    if without:
      notes.append(f"{split}: {without:,} of {len(names):,} videos have no caption")
    counts += [Count(f"{split} videos", len(names), _OFFICIAL_LISTED[split]),
               Count(f"{split} captions", len(texts), _OFFICIAL_CAPTIONS[split])]
    items += texts
  listed = {name for names in lists.values() for name in names}
  unlisted = sum(name not in listed for name in captions)
  if unlisted:
    notes.append(f"{captions_path.name}: {unlisted:,} videos are in no list: left out")
  notes += files.stripped_note(captions_path, "captions", stripped)
  videos = tuple(
      Video(name, (name, f"vid{numbers[name]}") if name in numbers else (name,))
      for names in lists.values() for name in names)
  return Annotations("msvd", "retrieval", tuple(items), videos, tuple(counts), tuple(notes))


def _read_mapping(path: pathlib.Path) -> dict[int, str]:
  """Number -> YouTube name, in the order of the file."""
  names: dict[int, str] = {}
  seen: dict[str, None] = {}
  for number, line in files.read_lines(path):
    match = re.fullmatch(r"(\S+)\s+vid([0-9]{1,9})", line)
    if match is None:
      raise UserError(
          f"{path}: line {number} is {files.short(line)}, not 'NAME vidN': {files.MEND}")
    where = f"{path}: line {number}"
    files.add_new(seen, files.check_id(match[1], where), None, f"{where}: video")
    if int(match[2]) in names:
      raise UserError(f"{where}: vid{match[2]} is there twice: take one out")
    names[int(match[2])] = match[1]
  if not names:
    raise UserError(f"{path}: names no video: {files.MEND}")
  return names


def _read_lists(directory: pathlib.Path) -> dict[str, list[str]]:
  lists: dict[str, list[str]] = {}
  seen: dict[str, None] = {}
  for split in _OFFICIAL_LISTED:
    path = files.find(directory, f"{split}_list.txt")
    if path is None:
      continue
    lists[split] = []
    for number, line in files.read_lines(path):
      where = f"{path}: line {number}"
      name = files.check_id(line, where)
      files.add_new(seen, name, None, f"{where}: video")
      lists[split].append(name)
    if not lists[split]:
      raise UserError(f"{path}: split {split} has no video: get the file again or take it out")
  if not lists:
    raise UserError(f"{directory}: has none of train_list.txt, val_list.txt, test_list.txt: "
                    "put the dataset's files there")
  return lists


def _captions_of(
    captions: dict[str, Any], name: str, split: str, path: str
) -> tuple[list[TextItem], int]:
  where = f"{path}: {name}"
  values = files.expect(captions.get(name, []), list, where)
  texts = [files.clean_text(value, f"{where}: caption {n}") for n, value in enumerate(values)]
  items = [TextItem(f"{name}@{n}", name, split, text) for n, text in enumerate(texts)]
  return items, sum(text != value for text, value in zip(texts, values, strict=True))
