"""Tiny valid annotation folders of our own, one for each dataset, in the official layouts."""

import json
import pathlib
from typing import Any

MSRVTT_VIDEOS: list[dict[str, Any]] = [
    {"video_id": "video10", "split": "train", "category": 3, "url": "x"},
    {"video_id": "video11", "split": "train", "category": 4},
    {"video_id": "video12", "split": "validate"},
    {"video_id": "video13", "split": "unlabeled"},
]
MSRVTT_SENTENCES: list[dict[str, Any]] = [
    {"video_id": "video10", "sen_id": 5, "caption": "a dog runs"},
    {"video_id": "video10", "sen_id": 6, "caption": " a brown dog is running on grass "},
    {"video_id": "video12", "sen_id": 7, "caption": "a woman sings a song"},
    {"video_id": "video11", "sen_id": 8, "caption": "two men play chess"},
]
QUESTIONS: dict[str, list[dict[str, Any]]] = {
    "train": [
        {"answer": "dog", "category_id": 3, "id": 0, "question": "what runs?", "video_id": 10},
        {"answer": "chess", "category_id": 4, "id": 1, "question": "what do men play?",
         "video_id": 11},
        {"answer": "dog", "category_id": 3, "id": 2, "question": "who is running?", "video_id": 10},
    ],
    "val": [{"answer": "woman", "id": 3, "question": "Who sings?", "video_id": 12}],
    "test": [{"answer": "two", "id": 4, "question": "is it how many?", "video_id": 13}],
}
TIMED: dict[str, dict[str, Any]] = {
    "video10": {
        "duration": 8.0,
        "timestamps": [[0.0, 3.0], [2.5, 9.5], [6, 6]],
        "sentences": ["A dog runs.", "  It jumps over a log ", "It stops."],
    },
    "video12": {"duration": 4, "timestamps": [[-1, 2]], "sentences": ["A woman sings."]},
    "video13": {"duration": 2.0, "timestamps": [[0, 1]], "sentences": ["A car."]},
}
MSVD_NAMES = ("-4ws_5_15", "b2@x_1_9", "zz.5u_5_20", "mY_0_1")
MSVD_CAPTIONS = {
    "-4ws_5_15": ["a squirrel eats a nut", "an animal is eating"],
    "b2@x_1_9": ["a man cuts an onion"],
    "zz.5u_5_20": ["a band plays"],
}


def dump(path: pathlib.Path, value: object) -> None:
  path.write_text(json.dumps(value), encoding="utf-8")


def write(dataset: str, directory: pathlib.Path) -> list[pathlib.Path]:
  """Writes the files of `dataset` into `directory`."""
  {
      "msrvtt_retrieval": _msrvtt,
      "msrvtt_qa": _questions,
      "msvd_qa": _msvd_qa,
      "msvd_retrieval": _msvd_retrieval,
      "timed_captions": _timed,
  }[dataset](directory)
  return sorted(directory.iterdir())


def _msrvtt(directory: pathlib.Path) -> None:
  dump(directory / "MSRVTT_data.json", {"videos": MSRVTT_VIDEOS, "sentences": MSRVTT_SENTENCES})
  (directory / "MSRVTT_train.9k.csv").write_text("video_id\nvideo12\nvideo10\nvideo99\n")
  (directory / "MSRVTT_JSFUSION_test.csv").write_text(
      'key,vid_key,video_id,sentence\nret0,msr11,video11,"two men, at chess"\n')


def _questions(directory: pathlib.Path) -> None:
  for split, questions in QUESTIONS.items():
    dump(directory / f"{split}_qa.json", questions)


def _msvd_qa(directory: pathlib.Path) -> None:
  _questions(directory)
  lines = [f"{name} vid{number}" for number, name in enumerate(MSVD_NAMES, 10)]
  (directory / "youtube_mapping.txt").write_text("\n".join(lines) + "\n\n")


def _msvd_retrieval(directory: pathlib.Path) -> None:
  dump(directory / "captions_msvd.json", MSVD_CAPTIONS)
  (directory / "train_list.txt").write_text("-4ws_5_15\nmY_0_1\n")
  (directory / "val_list.txt").write_text("b2@x_1_9\n")
  (directory / "test_list.txt").write_text("zz.5u_5_20\n\n")


def _timed(directory: pathlib.Path) -> None:
  dump(directory / "segments.json", TIMED)
