"""Writes the demo dataset as a user's own would lie on disk: video files and annotation files."""

from collections.abc import Iterable, Iterator
import concurrent.futures
import dataclasses
import itertools
import json
import multiprocessing
import os
import pathlib
from typing import Any

import numpy as np

from mla_jax.data.demo import language, render
from mla_jax.data.demo import scene as scenes
from mla_jax.errors import UserError

VIDEOS = "videos"
CAPTIONS, QUESTIONS, SEGMENTS = "captions.json", "questions.json", "segments.json"
_SETTINGS = "settings.json"
_FORMAT = 5  # Another number: the same seed means other clips.
_CAPTIONS_EACH = {"train": 2, "test": 1}
_QUESTIONS_EACH = {"train": 8, "test": 4}
_AHEAD = 64  # Clips handed to the pool before the first is done: bounds memory.


@dataclasses.dataclass(frozen=True)
class Clip:
  """A clip with all its texts; the first description is the one with times."""

  video_id: str
  split: str
  scene: scenes.Scene
  background: int
  descriptions: tuple[tuple[language.Sentence, ...], ...]
  questions: tuple[language.Question, ...]


def write_demo(out: pathlib.Path, *, train: int, test: int, seed: int, workers: int) -> None:
  """Renders the demo dataset; the same arguments give the same bytes.

  Writes `videos/<id>.mp4`, `captions.json` (every video with its split, every caption),
  `questions.json`, and `segments.json` (sentences with times, as in ActivityNet Captions). Cut
  short and started again it renders what is missing; a finished folder is left as it is.

  Args:
    out: folder to write.
    train: clips of the train split.
    test: clips of the test split, each with a composition no train clip has.
    seed: of every choice.
    workers: processes that render.

  Raises:
    UserError: the folder holds a demo of other settings, or cannot be written.
  """
  settings = {"format": _FORMAT, "train": train, "test": test, "seed": seed}
  try:
    _claim(out, settings)
    if (out / SEGMENTS).exists():  # Written last.
      return
    with concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn")
    ) as pool:
      clips = list(_render_all(out, _clips(train, test, seed), pool, train + test))
    _write_json(out / CAPTIONS, _captions(clips))
    _write_json(out / QUESTIONS, _questions(clips))
    _write_json(out / SEGMENTS, _segments(clips))
  except OSError as error:
    raise UserError(f"{out}: cannot be written ({error.strerror}): choose another folder") from None


def make_clip(split: str, number: int, scene: scenes.Scene, seed: int) -> Clip:
  """The texts of a scene; `number` counts the clips of the split."""
  rng = np.random.default_rng((seed, scenes.SPLITS.index(split), number, 1))
  return Clip(
      video_id=f"{split}_{number:05d}",
      split=split,
      scene=scene,
      background=int(rng.integers(render.BACKGROUNDS)),
      descriptions=tuple(
          language.describe(scene, rng) for _ in range(_CAPTIONS_EACH[split])
      ),
      questions=language.ask(scene, rng, _QUESTIONS_EACH[split]),
  )


def _clips(train: int, test: int, seed: int) -> Iterator[Clip]:
  for split, count in (("train", train), ("test", test)):
    for number, scene in enumerate(scenes.sample_scenes(split, count, seed)):
      yield make_clip(split, number, scene, seed)


def _claim(out: pathlib.Path, settings: dict[str, int]) -> None:
  """Makes the folder and notes its settings, or checks that they are these."""
  (out / VIDEOS).mkdir(parents=True, exist_ok=True)
  path = out / _SETTINGS
  if not path.exists():
    _write_json(path, settings)
    return
  try:
    found = json.loads(path.read_text())
  except ValueError:
    found = None
  if found != settings:
    raise UserError(
        f"{out}: holds a demo of other settings ({found}, asked for {settings}): "
        "use another folder, or delete this one"
    )


def _render_all(
    out: pathlib.Path,
    clips: Iterable[Clip],
    pool: concurrent.futures.ProcessPoolExecutor,
    total: int,
) -> Iterator[Clip]:
  """Renders clips in parallel and yields them in order, with a progress bar."""
  import tqdm

  clips = iter(clips)
  waiting: list[tuple[Clip, concurrent.futures.Future[None]]] = []
  with tqdm.tqdm(total=total, desc="rendering clips", unit="clip", mininterval=0.5) as bar:
    while True:
      for clip in itertools.islice(clips, _AHEAD - len(waiting)):
        waiting.append((clip, pool.submit(_render, out, clip)))
      if not waiting:
        return
      clip, done = waiting.pop(0)
      done.result()
      bar.update()
      yield clip


def _render(out: pathlib.Path, clip: Clip) -> None:
  path = out / VIDEOS / f"{clip.video_id}.mp4"
  if not path.exists():
    _write(path, render.encode(render.draw(clip.scene, clip.background)))


def _captions(clips: list[Clip]) -> dict[str, Any]:
  texts = [
      (clip.video_id, " ".join(sentence.text for sentence in sentences))
      for clip in clips
      for sentences in clip.descriptions
  ]
  return {
      "videos": [
          {"video_id": clip.video_id, "split": clip.split, "duration": clip.scene.duration}
          for clip in clips
      ],
      "captions": [
          {"id": number, "video_id": video, "caption": text}
          for number, (video, text) in enumerate(texts)
      ],
  }


def _questions(clips: list[Clip]) -> list[dict[str, Any]]:
  questions = [(clip.video_id, question) for clip in clips for question in clip.questions]
  return [
      {"id": number, "video_id": video, "question": q.text, "answer": q.answer, "type": q.kind}
      for number, (video, q) in enumerate(questions)
  ]


def _segments(clips: list[Clip]) -> dict[str, Any]:
  return {
      clip.video_id: {
          "duration": clip.scene.duration,
          "timestamps": [[sentence.start, sentence.end] for sentence in clip.descriptions[0]],
          "sentences": [sentence.text for sentence in clip.descriptions[0]],
      }
      for clip in clips
  }


def _write_json(path: pathlib.Path, value: Any) -> None:
  _write(path, (json.dumps(value, indent=1) + "\n").encode())


def _write(path: pathlib.Path, content: bytes) -> None:
  """Whole or not at all."""
  draft = path.with_name(f"{path.name}.part")
  draft.write_bytes(content)
  os.replace(draft, path)
