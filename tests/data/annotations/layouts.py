"""Tiny valid annotation folders of our own, one for each dataset, in the official layouts."""

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any

from tests.data.annotations import layouts_moments, layouts_pretraining, layouts_qa

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
_MSRVTT = {"videos": MSRVTT_VIDEOS, "sentences": MSRVTT_SENTENCES}
_QA = {f"{split}_qa.json": questions for split, questions in QUESTIONS.items()}
_VATEX = {
    "G9zN5TTuGO4_000179_000189": {"enCap": ["A man skis.", "Someone is skiing."], "chCap": ["x"]},
    "sf2PPeXQrUA_000000_000010": {"enCap": ["A cat sleeps."], "chCap": ["x"]},
    "rIJPGdtdaHg_000006_000016": {"enCap": ["A band plays.", "Music."], "chCap": []},
}
_LSMDC = "{0}_00.00.51.926-00.00.54.129\t51.9\t54.1\t51.9\t54.1\t{1}\n"
_DEMO = {
    "videos": [{"video_id": "train_0", "split": "train"}, {"video_id": "test_0", "split": "test"}],
    "captions": [{"id": 0, "video_id": "train_0", "caption": "a red circle grows."},
                 {"id": 1, "video_id": "test_0", "caption": "a blue square falls."}],
}
_DEMO_QUESTIONS = [
    {"id": 0, "video_id": "train_0", "question": "what grows?", "answer": "circle", "type": "what"},
    {"id": 1, "video_id": "test_0", "question": "what falls?", "answer": "square", "type": "what"}]
_DEMO_SEGMENTS = {
    name: {"duration": 2.0, "timestamps": [[0, 2]], "sentences": ["it grows."]}
    for name in ("train_0", "test_0")}

# Dataset -> file -> its text, or what it holds: JSON, or for .jsonl a list of lines.
FILES: dict[str, Mapping[str, Any]] = {
    "msrvtt_retrieval": {
        "MSRVTT_data.json": _MSRVTT,
        "MSRVTT_train.9k.csv": "video_id\nvideo12\nvideo10\nvideo99\n",
        "MSRVTT_JSFUSION_test.csv":
            'key,vid_key,video_id,sentence\nret0,msr11,video11,"two men, at chess"\n',
    },
    "msrvtt_qa": _QA,
    "msvd_qa": _QA | {"youtube_mapping.txt": "".join(
        f"{name} vid{number}\n" for number, name in enumerate(MSVD_NAMES, 10)) + "\n"},
    "msvd_retrieval": {
        "captions_msvd.json": MSVD_CAPTIONS,
        "train_list.txt": "-4ws_5_15\nmY_0_1\n",
        "val_list.txt": "b2@x_1_9\n",
        "test_list.txt": "zz.5u_5_20\n\n",
    },
    "timed_captions": {"segments.json": TIMED},
    "timed_localisation": {"segments.json": TIMED},
    "lsmdc_retrieval": {
        "LSMDC16_annos_training.csv":
            _LSMDC.format("0001_American_Beauty", "SOMEONE sits.") +
            _LSMDC.format("0001_American_Beauty", 'He says "no".') +
            _LSMDC.format("0002_As_Good", "They walk."),
        "LSMDC16_annos_val.csv": _LSMDC.format("1004_Juno", "She runs."),
        "LSMDC16_challenge_1000_publictect.csv": _LSMDC.format("1005_Signs", "A dog barks."),
    },
    "vatex_retrieval": {
        "vatex_data.json": _VATEX,
        "train_list.txt": "G9zN5TTuGO4_000179_000189\n",
        "val_list.txt": "sf2PPeXQrUA_000000_000010\n",
        "test_list.txt": "rIJPGdtdaHg_000006_000016\n",
        "test1k5_sec_list.txt": "sf2PPeXQrUA_000000_000010\nrIJPGdtdaHg_000006_000016\n",
    },
    "youcook2_retrieval": {
        "youcookii_annotations_trainval.json": {"database": {
            "xHr8X2Wpmno": {"subset": "validation", "duration": 300.5, "annotations": [
                {"segment": [47, 60], "id": 0, "sentence": "pick the ends off"},
                {"segment": [67, 89], "id": 1, "sentence": " combine the rest"}]},
            "GLd3aX16zBg": {"subset": "training", "duration": 241.62, "annotations": [
                {"segment": [90, 102], "id": 0, "sentence": "spread margarine on bread"}]},
        }},
        "validation_youcook.csv":
            "end,start,task,text,video_id\n60,47,226,pick the ends off,xHr8X2Wpmno\n",
    },
    "demo_retrieval": {"captions.json": _DEMO},
    "demo_qa": {"captions.json": _DEMO, "questions.json": _DEMO_QUESTIONS},
    "demo_timed_captions": {"captions.json": _DEMO, "segments.json": _DEMO_SEGMENTS},
    **layouts_pretraining.FILES,
    **layouts_qa.FILES,
    **layouts_moments.FILES,
}


def dump(path: pathlib.Path, value: object) -> None:
  path.write_text(json.dumps(value), encoding="utf-8")


def text(name: str, content: Any) -> str:
  """What stands in a file of that name that holds `content`."""
  if isinstance(content, str):
    return content
  if name.endswith(".jsonl"):
    return "".join(f"{json.dumps(line)}\n" for line in content)
  return json.dumps(content)


def write(dataset: str, directory: pathlib.Path) -> list[pathlib.Path]:
  """Writes the files of `dataset` into `directory`."""
  return write_files(FILES[dataset], directory)


def write_files(files: Mapping[str, Any], directory: pathlib.Path) -> list[pathlib.Path]:
  """Writes name -> content; returns all files of the folder."""
  for name, content in files.items():
    (directory / name).write_text(text(name, content), encoding="utf-8")
  return sorted(directory.iterdir())


def lines(header: Sequence[str], *rows: Sequence[object], delimiter: str = ",") -> str:
  """A table of values that need no quotes."""
  return "".join(delimiter.join(map(str, row)) + "\n" for row in (header, *rows))
