"""Texts made for the tests of what `prepare_texts` writes."""

import pathlib

from mla_jax.data import prepare_texts
from mla_jax.data.annotations.schema import Annotations, Count, TextItem, Video
from mla_jax.data.prepare_texts import TextSettings

SETTINGS = TextSettings(vocab_size=60)


def annotations(*items: TextItem, task: str = "qa") -> Annotations:
  ids = dict.fromkeys(item.video_id for item in items)
  videos = tuple(Video(video_id, (video_id,)) for video_id in ids)
  return Annotations("test", task, items, videos, (Count("texts", len(items), None),))


def question(number: int, split: str, text: str, answer: str) -> TextItem:
  return TextItem(f"q{number}", f"v{number % 3}", split, text, answer=answer, question_type="what")


def questions() -> list[TextItem]:
  return [
    question(0, "train", "what does the dog do in the garden?", "run"),
    question(1, "train", "what does the cat do on the roof?", "sleep"),
    question(2, "train", "what does the bird do in the tree?", "run"),
    question(3, "val", "what does the dog do?", "run"),
    question(4, "val", "what does the fish do?", "swim"),
    question(5, "test", "who sleeps on the roof?", "cat"),
  ]


def prepare(
  directory: pathlib.Path,
  items: list[TextItem],
  index: dict[str, int] | None = None,
  settings: TextSettings = SETTINGS,
) -> pathlib.Path:
  folder = directory / "test" / "qa"
  folder.parent.mkdir(parents=True, exist_ok=True)
  prepare_texts.prepare_texts(folder, annotations(*items), index or {}, settings)
  return folder


def choices(number: int, split: str, **fields: object) -> TextItem:
  return TextItem(
    f"c{number}", "v0", split, "what does the dog do?", answer="run", candidates=("sit", "run"),
    answer_index=1, **fields
  )  # fmt: skip
