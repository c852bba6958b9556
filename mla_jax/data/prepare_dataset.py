"""Prepares a dataset: reads its annotations, adds its media to the family's, writes its texts."""

from collections.abc import Mapping, Sequence
import dataclasses
import pathlib
import re
import sys
from typing import Any

from mla_jax import cores
from mla_jax.data import annotations as annotation_files
from mla_jax.data import (
    beam_texts,
    media_folder,
    prepare_media,
    prepare_texts,
    record_format,
    record_writer,
)
from mla_jax.data.annotations.schema import Annotations
from mla_jax.data.beam_tasks import Beam
from mla_jax.data.media import find_media
from mla_jax.data.prepare_media import MediaResult
from mla_jax.errors import UserError

_FAMILY_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclasses.dataclass(frozen=True)
class Options:
  """The flags of mla_jax.prepare, which explains them."""

  dataset: str
  annotations: str
  out: str
  media: str | None = None
  family: str | None = None
  skip_broken: bool = False
  frame_rate: float | None = None
  short_side: int = 128
  jpeg_quality: int = 90
  max_frames: int = 0
  num_workers: int = 0
  shard_videos: int = 256
  tokenizer: str | None = None
  vocab_size: int = 4000
  spacy_model: str | None = None
  beam: Beam | None = None


def prepare(options: Options) -> None:
  """Prepares a dataset and prints its table of counts.

  Raises:
    UserError: any bad input; nothing is left half-written.
  """
  if options.beam is not None:
    options.beam.options()
  annotations = annotation_files.read(options.dataset, pathlib.Path(options.annotations))
  if options.family is not None:
    if not _FAMILY_NAME.fullmatch(options.family):
      raise UserError(f"--family={options.family}: use lower-case letters, digits and _")
    annotations = dataclasses.replace(annotations, family=options.family)
  family = pathlib.Path(options.out) / annotations.family
  record_writer.check_out(family, 0)
  media = _media(options, annotations, family)
  settings = prepare_texts.TextSettings(
      options.vocab_size,
      pathlib.Path(options.tokenizer) if options.tokenizer else None,
      options.spacy_model,
  )
  texts = family / annotations.task
  print(f"texts: {len(annotations.items)} to write to {texts}", file=sys.stderr)
  if options.beam is not None:
    annotations = beam_texts.cut_texts(options.beam, family, annotations, options.spacy_model)
  manifest = prepare_texts.prepare_texts(texts, annotations, media.index, settings)
  beam_texts.clear(family)
  _print_report(annotations, media, manifest, texts)


def _media(options: Options, annotations: Annotations, family: pathlib.Path) -> MediaResult:
  directory = family / record_format.MEDIA_FOLDER
  if options.media is None:  # The texts still find what another dataset of the family brought.
    ids = media_folder.ids_already_there(directory)
    return MediaResult({video_id: record for record, video_id in enumerate(ids)}, 0, {}, {})
  found = find_media(pathlib.Path(options.media), annotations.videos)
  settings = prepare_media.media_settings(
      found,
      directory,
      frame_rate=options.frame_rate,
      short_side=options.short_side,
      jpeg_quality=options.jpeg_quality,
      max_frames=options.max_frames,
  )
  copies = 1 if options.beam is None else 2  # Its parts, and the shards made of them.
  record_writer.check_out(family, copies * prepare_media.expected_bytes(found))
  return prepare_media.prepare_media(
      directory,
      annotations.family,
      found,
      settings,
      skip_broken=options.skip_broken,
      num_workers=_num_workers(options),
      shard_videos=options.shard_videos,
      beam=options.beam,
  )


def _num_workers(options: Options) -> int:
  """Processes that read media; a Beam worker counts its own cores."""
  here = options.beam is None and not options.num_workers
  return cores.count() if here else options.num_workers


def _print_report(
    annotations: Annotations, media: MediaResult, manifest: Mapping[str, Any], texts: pathlib.Path
) -> None:
  print(f"licence: {manifest['licence']}")
  if manifest["leakage"]:
    print(f"leakage: {manifest['leakage']}")
  for note in manifest["notes"]:
    print(f"note: {note}")
  for name, reasons in (("missing", media.missing), ("broken", media.broken)):
    for video_id, reason in list(reasons.items())[:10]:
      print(f"{name}: {video_id}: {reason}")
    if len(reasons) > 10:
      print(f"{name}: ... {len(reasons)} in all, listed in the media's {record_format.MANIFEST}")
  present = sum(video.video_id in media.index for video in annotations.videos)
  print(
      f"media: {media.added} videos added, {present - media.added} already there;"
      f" {present} of {len(annotations.videos)} videos found, {len(media.missing)} missing,"
      f" {len(media.broken)} broken")
  rows = [("count", "found", "official", "")]
  for count in annotations.counts:
    official = "-" if count.official is None else f"{count.official:,}"
    differs = "" if count.official in (None, count.found) else "differs"
    rows.append((count.name, f"{count.found:,}", official, differs))
  _print_table(rows)
  _print_table(_split_rows(manifest))
  print(f"prepared: {texts} ({manifest['fingerprint'][:12]})")


def _split_rows(manifest: Mapping[str, Any]) -> list[tuple[str, ...]]:
  header = ["split", "texts", "videos", "with media", "texts without"]
  total = manifest["answers"]
  if total:
    top = min(total, prepare_texts.TOP_ANSWERS)
    header += [f"ceiling, all {total:,} answers", f"top {top:,}"]
  rows = [tuple(header)]
  for name, split in manifest["splits"].items():
    numbers = ("texts", "videos", "videos_with_media", "texts_without_media")
    row = [name, *(f"{split[key]:,}" for key in numbers)]
    if "ceiling" in split:
      row += [f"{100 * split[key]:.2f} %" for key in ("ceiling", "ceiling_top")]
    rows.append(tuple(row))
  return rows


def _print_table(rows: Sequence[Sequence[str]]) -> None:
  columns = max(map(len, rows))
  widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(columns)]
  for first, *rest in rows:
    cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=False)]
    print("  ".join([first.ljust(widths[0]), *cells]).rstrip())
