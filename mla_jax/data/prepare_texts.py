"""The texts of one dataset: segments, tokenizer, answers, records; written whole or not at all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
import hashlib
import itertools
import pathlib
import shutil
from typing import Any

import numpy as np

from mla_jax.data import answers, record_format, record_writer, text_fields
from mla_jax.data.annotations.schema import Annotations, TextItem
from mla_jax.data.record_format import TextRecord
from mla_jax.data.segments import cut_text
from mla_jax.data.text import TOKENIZER_MODEL, Tokenizer, stored_name, train_tokenizer
from mla_jax.errors import UserError

SHARD_TEXTS = 65_536
TOP_ANSWERS = 1000  # The usual vocabulary: its ceiling is shown beside that of all answers.
_OLD = ".old"


@dataclasses.dataclass(frozen=True)
class TextSettings:
  """How texts are cut and tokenized.

  Attributes:
    vocab_size: pieces of the trained tokenizer.
    tokenizer: a SentencePiece model or a tokenizer.json to use instead of training one.
    spacy_model: cuts phrases instead of the rules of `segments.py`.
  """

  vocab_size: int = 4000
  tokenizer: pathlib.Path | None = None
  spacy_model: str | None = None


def training_splits(splits: Iterable[str]) -> list[str]:
  """The splits a tokenizer and an answer vocabulary may be made from.

  `train` where there is one: an official list such as MSR-VTT's `train_9k` holds videos that other
  lists test on. Else every split whose name starts with "train".
  """
  names = list(splits)
  return ["train"] if "train" in names else [name for name in names if name.startswith("train")]


def prepare_texts(
    directory: pathlib.Path,
    annotations: Annotations,
    media_index: Mapping[str, int],
    settings: TextSettings,
) -> dict[str, Any]:
  """Writes the folder of a dataset's texts.

  Args:
    directory: `OUT/<family>/<task>`; its parent exists.
    annotations: the dataset as read.
    media_index: video id -> media record, of the videos that are there.
    settings: of segments and tokens.

  Returns:
    The folder's manifest.

  Raises:
    UserError: other texts or settings are there already, or the disk is full.
  """
  for split in {item.split for item in annotations.items}:
    record_format.check_split_name(split)
  with record_writer.writing(directory.parent):
    partial = directory.with_name(directory.name + record_format.PARTIAL)
    old = directory.with_name(directory.name + _OLD)
    for leftover in (partial, old):
      shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
      manifest = _write_folder(partial, annotations, media_index, settings)
      if not (directory / record_format.MANIFEST).exists():
        partial.rename(directory)
      elif _replaceable(directory, manifest):
        directory.rename(old)
        partial.rename(directory)
        shutil.rmtree(old)
    finally:
      shutil.rmtree(partial, ignore_errors=True)
  return manifest


def _replaceable(directory: pathlib.Path, new: dict[str, Any]) -> bool:
  """False where `directory` holds the same already; a new media index may replace an old one."""
  there = record_format.read_manifest(directory)
  for name, value in new["settings"].items():
    if there["settings"].get(name) != value:
      raise UserError(
          f"{directory}: prepared with {name} {there['settings'].get(name)}, not {value}: use the"
          " same setting, or delete the folder, or give another --out")
  if there["texts_fingerprint"] != new["texts_fingerprint"]:
    raise UserError(
        f"{directory}: prepared from other annotations: delete the folder or give another --out")
  return there["fingerprint"] != new["fingerprint"]


def _write_folder(
    directory: pathlib.Path,
    annotations: Annotations,
    media_index: Mapping[str, int],
    settings: TextSettings,
) -> dict[str, Any]:
  by_split: dict[str, list[TextItem]] = {}
  for item in annotations.items:
    by_split.setdefault(item.split, []).append(item)
  training = [item for name in training_splits(by_split) for item in by_split[name]]
  notes = list(annotations.notes)
  files = _write_tokenizer(directory, training, settings, notes)
  vocabulary = _write_answers(directory, training, files)
  dataset = f"{annotations.family}_{annotations.task}"
  fields = text_fields.used_fields(annotations.items)
  records = {
      name: [_record(item, media_index, settings.spacy_model) for item in items]
      for name, items in by_split.items()}
  tfds_files = _write_records(directory, dataset, records, fields, files)
  manifest = {
      "format": record_format.FORMAT,
      "complete": True,
      "kind": "texts",
      "feature_width": None,
      "dataset": dataset,
      "fields": list(fields),
      "licence": annotations.licence,
      "leakage": annotations.leakage,
      "settings": _described(settings),
      "counts": [dataclasses.asdict(count) for count in annotations.counts],
      "notes": notes,
      "answers": len(vocabulary),
      "splits": {name: _summary(split, vocabulary) for name, split in records.items()},
      "files": files,
      "tfds_files": tfds_files,
      "texts_fingerprint": _texts_fingerprint(records, fields),
      "fingerprint": record_format.fingerprint(files),
  }
  record_writer.write_manifest(directory, manifest)
  return manifest


def _write_records(
    directory: pathlib.Path,
    dataset: str,
    records: Mapping[str, Sequence[TextRecord]],
    fields: Sequence[str],
    files: list[dict[str, Any]],
) -> list[dict[str, Any]]:
  """Adds the manifest's entries of the shards and indices to `files`; returns TFDS's files."""
  shards: dict[str, list[dict[str, Any]]] = {}
  for name, split in records.items():
    shards[name] = list(_write_shards(directory, dataset, name, split, fields))
    files += shards[name] + _write_indices(directory, name, split)
  features = record_format.tfds_features(None, texts=True, fields=fields)
  return record_writer.write_tfds_info(directory, dataset, features, shards)


def _texts_fingerprint(
    records: Mapping[str, Sequence[TextRecord]], fields: Sequence[str]
) -> str:
  """Of all that the texts hold beside where their media are."""
  digest = hashlib.sha256()
  for record in itertools.chain.from_iterable(records.values()):
    without_media = dataclasses.replace(record, media_index=-1)
    digest.update(record_format.serialise_text(without_media, fields))
  return digest.hexdigest()


def _described(settings: TextSettings) -> dict[str, Any]:
  given = settings.tokenizer
  return {
      "vocab_size": None if given else settings.vocab_size,
      "tokenizer": record_format.file_entry(given)["sha256"] if given else "trained",
      "spacy_model": settings.spacy_model,
  }


def _write_tokenizer(
    directory: pathlib.Path,
    training: Sequence[TextItem],
    settings: TextSettings,
    notes: list[str],
) -> list[dict[str, Any]]:
  path = directory / TOKENIZER_MODEL
  if settings.tokenizer is not None:
    Tokenizer.load(settings.tokenizer)  # A file that is no model must not be found in training.
    path = directory / stored_name(settings.tokenizer)
    shutil.copyfile(settings.tokenizer, path)
  elif training:
    train_tokenizer(_tokenizer_texts(training), path, settings.vocab_size)
  else:
    notes.append("no training split: no tokenizer and no answer vocabulary made; use a run's own")
    return []
  return [record_format.file_entry(path)]


def _tokenizer_texts(training: Sequence[TextItem]) -> Iterator[str]:
  """All a model may read of the training texts; what is said in a video once a video."""
  heard: set[str] = set()
  for item in training:
    yield from filter(None, (item.text, *(item.candidates or (item.answer,)), *item.references))
    if item.subtitles and item.video_id not in heard:
      heard.add(item.video_id)
      yield from (line.text for line in item.subtitles)


def _write_answers(
    directory: pathlib.Path, training: Sequence[TextItem], files: list[dict[str, Any]]
) -> list[tuple[str, int]]:
  given = [item.answer for item in training if item.answer and not item.candidates]
  if not given:
    return []
  vocabulary = answers.build_answers(given)
  path = directory / record_format.ANSWERS
  answers.write_answers(path, vocabulary)
  files.append(record_format.file_entry(path))
  return vocabulary


def _record(item: TextItem, media_index: Mapping[str, int], spacy_model: str | None) -> TextRecord:
  return TextRecord(
      item.item_id,
      item.video_id,
      media_index.get(item.video_id, -1),
      item.text,
      item.segments or cut_text(item.text, spacy_model),
      item.answer,
      item.question_type,
      **{name: getattr(item, name) for name in text_fields.FIELDS},
  )


def _write_shards(
    directory: pathlib.Path,
    dataset: str,
    split: str,
    records: Sequence[TextRecord],
    fields: Sequence[str],
) -> Iterator[dict[str, Any]]:
  for index, start in enumerate(range(0, len(records), SHARD_TEXTS)):
    path = directory / record_format.shard_name(dataset, split, index)
    part = records[start : start + SHARD_TEXTS]
    content = (record_format.serialise_text(record, fields) for record in part)
    count = record_writer.write_shard(path, content)
    yield record_format.file_entry(path, count) | {"split": split}


def _write_indices(
    directory: pathlib.Path, split: str, records: Sequence[TextRecord]
) -> list[dict[str, Any]]:
  """What is asked of every text without reading it: its media record and its video."""
  index_path = directory / record_format.media_index_name(split)
  np.save(index_path, np.array([record.media_index for record in records], np.int64))
  ids_path = directory / record_format.video_ids_name(split)
  ids_path.write_text("".join(f"{record.video_id}\n" for record in records))
  return [record_format.file_entry(path) for path in (index_path, ids_path)]


def _summary(
    records: Sequence[TextRecord], vocabulary: list[tuple[str, int]]
) -> dict[str, Any]:
  summary: dict[str, Any] = {
      "texts": len(records),
      "videos": len({record.video_id for record in records}),
      "videos_with_media": len({r.video_id for r in records if r.media_index >= 0}),
      "texts_without_media": sum(record.media_index < 0 for record in records),
  }
  given = [record.answer for record in records if record.answer]
  if given and vocabulary:
    names = [answer for answer, _ in vocabulary]
    summary["ceiling"] = answers.coverage(given, names)
    summary["ceiling_top"] = answers.coverage(given, names[:TOP_ANSWERS])
  return summary
