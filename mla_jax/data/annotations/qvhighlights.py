"""QVHighlights: queries with the moments of a video that match, and how well each clip does."""

import pathlib
from typing import Any

from mla_jax.data.annotations import counts, cuts, files, moments
from mla_jax.data.annotations.schema import Annotations, Segment, TextItem
from mla_jax.data.annotations.tally import Tally
from mla_jax.errors import UserError

CLIP = 2.0  # Seconds.
_NAMES = {
    "train": ["highlight_train_release.jsonl"],
    "val": ["highlight_val_release.jsonl"],
    "test": ["highlight_test_with_gt.jsonl", "highlight_test_release.jsonl"],
}
_QUERIES: dict[str, int | None] = {"train": 7218, "val": 1550, "test": 1542}
_BEST = 4
_LABELS = ("relevant_windows", "relevant_clip_ids", "saliency_scores")


def read_localisation(directory: pathlib.Path) -> Annotations:
  """Reads `highlight_{train,val}_release.jsonl` and `highlight_test_with_gt.jsonl`.

  An entry is `{"qid", "query", "vid", "duration", "relevant_windows": [[start, end], ...],
  "relevant_clip_ids": [...], "saliency_scores": [[three scores a clip], ...]}`. Without the test
  file with its labels, `highlight_test_release.jsonl` is read, whose queries have no moments.

  Raises:
    UserError: no file, a malformed, duplicate or empty entry, a query without a window, clips and
      scores that do not fit, a video with two durations.
  """
  found, notes = files.by_split(directory, _NAMES)
  items: list[TextItem] = []
  durations: dict[str, float] = {}
  for split, path in found.items():
    tally = Tally(path)
    queries: dict[str, TextItem] = {}
    for where, record in files.read_records(path):
      item = _read_query(record, split, where, tally)
      files.same(durations, item.video_id, item.duration, f"{where}: the duration")
      files.add_new(queries, item.item_id, item, f"{path}: query")
    if not queries:
      raise UserError(f"{path}: split {split} has no query: get the file again or take it out")
    items += queries.values()
    notes += tally.notes()
  videos = tuple(map(cuts.cut_video, dict.fromkeys(item.video_id for item in items)))
  return Annotations(
      "qvhighlights", "localisation", tuple(items), videos,
      tuple(counts.split_counts(items, "queries", _QUERIES, {})), tuple(notes),
      licence="annotations CC BY-NC-SA; the videos are their YouTube owners'")


def _read_query(record: dict[str, Any], split: str, where: str, tally: Tally) -> TextItem:
  name = f"{split}@{files.field(record, 'qid', int, where)}"
  text = tally.text(files.field(record, "query", str, where), f"{where}: 'query'", "queries")
  video = files.check_id(record.get("vid"), f"{where}: 'vid'")
  duration = moments.read_duration(record.get("duration"), f"{where}: 'duration'")
  if split == "test" and not any(key in record for key in _LABELS):
    tally.add("queries have no labels")
    return TextItem(name, video, split, text, duration=duration)
  windows = []
  for number, value in enumerate(files.field(record, "relevant_windows", list, where)):
    times = moments.read_window(value, f"{where}: 'relevant_windows' {number}")
    window = moments.clip_window(
        times, duration, tally, what="windows", otherwise="left out",
        place=f"{name} {times[0]:g}-{times[1]:g}")
    windows += [window] if window else []
  if not windows:
    raise UserError(f"{where}: has no window in its video: {files.MEND}")
  # A text's segment has one span; several windows are no span.
  segments = (Segment(0, len(text), *windows[0]),) if len(windows) == 1 else ()
  return TextItem(
      name, video, split, text, segments, moments=tuple(windows), duration=duration,
      saliency=_read_saliency(record, duration, where))


def _read_saliency(
    record: dict[str, Any], duration: float, where: str
) -> tuple[tuple[int, int, int, int], ...]:
  clips = files.field(record, "relevant_clip_ids", list, where)
  scores = files.field(record, "saliency_scores", list, where)
  if len(clips) != len(scores):
    raise UserError(f"{where}: {len(clips)} clips and {len(scores)} scores: {files.MEND}")
  rows: dict[int, tuple[int, int, int, int]] = {}
  for clip, given in zip(clips, scores, strict=True):
    place = f"{where}: 'saliency_scores' of clip {files.short(clip)}"
    if not 0 <= files.expect(clip, int, f"{where}: 'relevant_clip_ids'") * CLIP < duration:
      raise UserError(f"{where}: clip {clip} is outside the video's {duration:g} s: {files.MEND}")
    if len(files.expect(given, list, place)) != 3 or clip in rows:
      raise UserError(f"{place} are {files.short(given)}, not three scores once: {files.MEND}")
    first, second, third = (files.expect(score, int, place) for score in given)
    if not all(0 <= score <= _BEST for score in (first, second, third)):
      raise UserError(f"{place} are {files.short(given)}, not 0 to {_BEST}: {files.MEND}")
    rows[clip] = (clip, first, second, third)
  return tuple(rows.values())
