"""MSVD: MSVD-QA (xudejing's files) and multi-caption retrieval (X-Pool's files).

Both call a video by its YouTube name, such as "-4wsuPCjDBc_5_15", so that they share media.
"""

import pathlib
import re
from typing import Any

from mla_jax.data.annotations import files, lists, open_ended_qa
from mla_jax.data.annotations.schema import Annotations, Count, Video
from mla_jax.errors import UserError

_MAPPING = "youtube_mapping.txt"
_CAPTIONS = "captions_msvd.json"
_PICKLE = "raw-captions.pkl"
_OFFICIAL_VIDEOS = 1970
_OFFICIAL_QA = open_ended_qa.Official(
    questions={"train": 30933, "val": 6415, "test": 13157},
    videos={"train": 1161, "val": 245, "test": 504},
    types={"what": 8149, "who": 4552, "how": 370, "when": 58, "where": 28},
)
_LISTED: dict[str, tuple[int | None, int | None]] = {  # Videos and captions.
    "train": (1200, 48774), "val": (100, 4290), "test": (670, 27763)}


def read_qa(directory: pathlib.Path) -> Annotations:
  """MSVD-QA: `{train,val,test}_qa.json` and `youtube_mapping.txt` ("name vidN" a line).

  Raises:
    UserError: see `open_ended_qa.read_questions`; also a video number that the mapping lacks.
  """
  path = files.require(directory, _MAPPING)
  names = _read_mapping(path)

  known = set(names.values())

  def video_name(value: Any, where: str) -> str:
    if isinstance(value, str) and (stem := value.removesuffix(".avi")) in known:
      return stem
    match = re.fullmatch(r"vid([0-9]{1,9})", value) if isinstance(value, str) else None
    number = int(match[1]) if match else files.expect(value, int, where)
    if number not in names:
      raise UserError(f"{where} is {files.short(value)}, which {path.name} does not name: "
                      "use the mapping that came with the questions")
    return names[number]

  questions = open_ended_qa.read_questions(directory, video_name, _OFFICIAL_QA)
  videos = tuple(Video(name, (name, f"vid{number}")) for number, name in names.items())
  counts = (Count("videos", len(videos), _OFFICIAL_VIDEOS), *questions.counts)
  return Annotations(
      "msvd", "qa", questions.items, videos, counts, questions.notes,
      leakage="val holds 98 videos of msvd_retrieval's val and 147 of its test; the test videos "
      "are all among retrieval's test videos")


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """MSVD retrieval: `{train,val,test}_list.txt` of video names and `captions_msvd.json`.

  Every caption is a text of its own; a listed video without captions stays as a video. Where
  `youtube_mapping.txt` lies beside them, a video's file may also be called vidN.

  Raises:
    UserError: no list, a malformed file, a name listed twice, a split without captions.
  """
  if not files.find(directory, _CAPTIONS) and (directory / _PICKLE).exists():
    raise UserError(f"{directory}: has {_PICKLE}, but pickles are never loaded: put {_CAPTIONS} "
                    "(name -> list of captions) there")
  path = files.require(directory, _CAPTIONS)
  listed = lists.require_lists(directory, {split: f"{split}_list.txt" for split in _LISTED})
  mapping = files.find(directory, _MAPPING)
  numbers = {name: n for n, name in _read_mapping(mapping).items()} if mapping else {}
  captions = lists.listed_captions(path, files.read_json(path, dict), listed, _LISTED)
  notes = [f"{split}_list.txt: not there: no split {split}"
           for split in _LISTED if split not in listed]
  videos = tuple(
      Video(name, (name, f"vid{numbers[name]}") if name in numbers else (name,))
      for names in listed.values() for name in names)
  counts = (Count("videos", len(videos), _OFFICIAL_VIDEOS), *captions.counts)
  return Annotations(
      "msvd", "retrieval", tuple(captions.items), videos, counts, (*notes, *captions.notes),
      leakage="of the test videos 147 are in msvd_qa's val, 504 in its test, and 19 have no "
      "question; train has the videos of msvd_qa's train")


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
