"""YouCook2: sentences about clips of cooking videos, for retrieval.

A clip is a video of its own here: the gallery is made of clips.
"""

import pathlib
from typing import Any

from mla_jax.data.annotations import cuts, files, moments, tables
from mla_jax.data.annotations.schema import Annotations, Count, TextItem
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

_DATA = "youcookii_annotations_trainval.json"
_TABLE = "validation_youcook.csv"
_SUBSETS = {"training": "train", "validation": "val", "testing": "test"}
_NO_SUBSET = "trainval"
_OFFICIAL = {"train": 10337, "val": 3492}
_TABLE_CLIPS = 3350


def read_retrieval(directory: pathlib.Path) -> Annotations:
  """Reads the dataset's JSON file, MIL-NCE's table, or both.

  `youcookii_annotations_trainval.json`: `{"database": {video: {"subset", "duration", "annotations":
  [{"segment": [start, end], "sentence"}]}}}` in seconds. Without "subset" all clips are of split
  "trainval".

  `validation_youcook.csv`: columns `end,start,task,text,video_id`; 3,350 of the validation clips,
  those that the retrieval results of HowTo100M's models are on. Its split is "val", and with the
  JSON file beside it "val_mil_nce".

  A clip is called VIDEO_START_END; its file has that name, or is cut from VIDEO's. Two sentences
  about the same seconds are two texts of one clip.

  Raises:
    UserError: neither file, a malformed entry, an empty sentence, a file without a clip.
  """
  data, table = files.find(directory, _DATA), files.find(directory, _TABLE)
  items: list[TextItem] = []
  notes: list[str] = []
  if data is None and table is None:
    raise UserError(f"{directory}: has neither {_DATA} nor {_TABLE}: put the dataset's file there")
  if data is not None:
    items += _read_data(data, notes)
  official: dict[str, int | None] = dict(_OFFICIAL)
  if table is not None:
    split = "val" if data is None else "val_mil_nce"
    official[split] = _TABLE_CLIPS
    items += _read_table(table, split, notes)
  sizes = []
  for split in dict.fromkeys(item.split for item in items):
    texts = [item for item in items if item.split == split]
    sizes += [Count(f"{split} sentences", len(texts), official.get(split)),
              Count(f"{split} clips", len({item.video_id for item in texts}), None)]
  clips = dict.fromkeys(item.video_id for item in items)
  return Annotations(
      "youcook2", "retrieval", tuple(items), tuple(map(cuts.cut_video, clips)), tuple(sizes),
      tuple(notes))


def _read_data(path: pathlib.Path, notes: list[str]) -> list[TextItem]:
  tally = Tally(path)
  items: list[TextItem] = []
  texts: dict[str, int] = {}
  for video, record in files.field(files.read_json(path, dict), "database", dict,
                                   str(path)).items():
    where = f"{path}: {files.short(video)}"
    record = files.expect(record, dict, where)
    split = _split(record, where, tally)
    duration = float("nan")
    if "duration" in record:
      duration = moments.read_duration(record["duration"], f"{where}: 'duration'")
    clips = files.field(record, "annotations", list, where)
    for number, clip in enumerate(clips):
      place = f"{where}: annotation {number}"
      clip = files.expect(clip, dict, place)
      window = moments.read_window(clip.get("segment"), f"{place}: 'segment'")
      text = files.field(clip, "sentence", str, place)
      items += _clip(video, window, duration, split, text, place, texts, tally)
    if not clips:
      tally.add("videos have no clip: left out", video)
  if not items:
    raise UserError(f"{path}: has no clip: get the file again or take it out")
  notes += tally.notes()
  return items


def _split(record: dict[str, Any], where: str, tally: Tally) -> str:
  if "subset" not in record:
    tally.add(f'videos have no "subset": their split is {_NO_SUBSET}')
    return _NO_SUBSET
  subset = files.field(record, "subset", str, where)
  if subset not in _SUBSETS:
    raise UserError(f"{where}: 'subset' is {files.short(subset)}, not one of "
                    f"{', '.join(_SUBSETS)}: {files.MEND}")
  return _SUBSETS[subset]


def _read_table(path: pathlib.Path, split: str, notes: list[str]) -> list[TextItem]:
  tally = Tally(path)
  items: list[TextItem] = []
  texts: dict[str, int] = {}
  for where, row in tables.read_table(path, ["end", "start", "text", "video_id"]):
    window = (tables.parse_seconds(row["start"], f"{where}: 'start'"),
              tables.parse_seconds(row["end"], f"{where}: 'end'"))
    items += _clip(
        row["video_id"], window, float("nan"), split, row["text"], where, texts, tally)
  if not items:
    raise UserError(f"{path}: has no clip: get the file again or take it out")
  notes += tally.notes()
  return items


def _clip(
    video: str,
    window: tuple[float, float],
    duration: float,
    split: str,
    sentence: str,
    where: str,
    texts: dict[str, int],
    tally: Tally,
) -> list[TextItem]:
  """The text of a clip; none where its seconds are not in the video."""
  text = tally.text(sentence, f"{where}: the sentence", "sentences")
  place = f"{video} {window[0]:g}-{window[1]:g}"
  clipped = moments.clip_window(
      window, duration, tally, what="clips", otherwise="left out", place=place)
  if clipped is None:
    return []
  name = files.check_id(f"{video}_{clipped[0]:g}_{clipped[1]:g}", where)
  texts[name] = texts.get(name, 0) + 1
  if texts[name] > 1:
    tally.add("sentences are of the same seconds as another: a further text of one clip", place)
  return [TextItem(f"{split}@{name}@{texts[name]}", name, split, text)]
