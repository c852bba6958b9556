"""Tiny datasets made here, for tests that go through `prepare`.

Captions, open-ended questions and timed sentences come in MSR-VTT's layout, each other kind of text
in the official layout of one set that has it; all are about the same videos.
"""

import json
import pathlib

import numpy as np

from mla_jax.data import prepare_dataset

COLOURS = ("red", "green", "blue", "yellow", "white", "black")
ACTIONS = ("runs", "sleeps", "sings", "falls")
FEATURES = 16
MSRVTT = ("msrvtt_retrieval", "msrvtt_qa", "timed_captions")
_CHOICE = ("gif_name", "question", "a1", "a2", "a3", "a4", "a5", "answer", "vid_id", "key")
_COUNT = ("gif_name", "question", "answer", "vid_id", "key")


def write_annotations(
    directory: pathlib.Path, *, videos: int = 40, captions: int = 3, first: int = 0
) -> None:
  """MSRVTT_data.json, {train,val}_qa.json and segments.json: three videos of four are `train`.

  A video's texts and features follow from its number, so that a model can learn to match them.
  """
  directory.mkdir(parents=True, exist_ok=True)
  data: dict[str, list[dict]] = {"videos": [], "sentences": []}
  questions: dict[str, list[dict]] = {"train": [], "val": []}
  segments = {}
  others: dict[str, list] = {}
  for number in range(first, first + videos):
    name, split = f"video{number}", "validate" if number % 4 == 3 else "train"
    colour, action = _scene(number)
    data["videos"].append({"video_id": name, "split": split, "category": 0})
    for i in range(captions):
      text = (f"a {colour} dog {action}", f"the {colour} animal {action} now", f"{action} {colour}")
      data["sentences"].append(
          {"video_id": name, "sen_id": number * captions + i, "caption": text[i % 3]}
      )
    for i, (question, answer) in enumerate(
        ((f"what colour is the dog that {action}?", colour), ("what does the dog do?", action))
    ):
      questions["val" if split == "validate" else "train"].append(
          {"id": 2 * number + i, "video_id": number, "question": question, "answer": answer}
      )
    if number % 2 == 0:
      segments[name] = {
          "duration": 6.0,
          "timestamps": [[0.0, 3.0], [3.0, 6.0]],
          "sentences": [f"A {colour} dog comes.", f"It {action}."],
      }
    _add_others(number, split, others)
  (directory / "MSRVTT_data.json").write_text(json.dumps(data))
  (directory / "segments.json").write_text(json.dumps(segments))
  for split, found in questions.items():
    (directory / f"{split}_qa.json").write_text(json.dumps(found))
  for name, lines in others.items():
    (directory / name).write_text("".join(lines))


def _add_others(number: int, split: str, files: dict[str, list]) -> None:
  """Adds a video's lines to the files of the sets with candidates, counts and moments.

  The features of a video show its colour throughout, its action from 3 s on.
  """
  colour, action = _scene(number)
  name, kind = f"video{number}", "Train" if split == "train" else "Test"
  actions = [*ACTIONS, "barks"]
  choice = files.setdefault(f"{kind}_action_question.csv", ["\t".join(_CHOICE) + "\n"])
  line = (name, f"what does the {colour} dog do ?", *actions, actions.index(action), number, "ACT")
  choice.append("\t".join(map(str, line)) + "\n")
  count = files.setdefault(f"{kind}_count_question.csv", ["\t".join(_COUNT) + "\n"])
  times = 2 + ACTIONS.index(action)
  line = (name, f"how often does the {colour} dog bark ?", times, number, "COUNT")
  count.append("\t".join(map(str, line)) + "\n")
  if split == "train" or number % 8 == 3:
    lengths = files.setdefault(f"Charades_v1_{kind.lower()}.csv", ["id,length\n"])
    lengths.append(f"{name},6.0\n")
    moments = files.setdefault(f"charades_sta_{kind.lower()}.txt", [])
    moments.append(f"{name} 3.0 6.0##the dog {action}.\n")
  mc = files.setdefault("MSR_MC_test.csv", ["key\tvid_key\ta1\ta2\ta3\ta4\ta5\tanswer\n"])
  captions = [f"a {other} dog {action}" for other in COLOURS[:5]]
  if split != "train" and colour in COLOURS[:5]:
    answer = COLOURS.index(colour)
    mc.append("\t".join(map(str, (number, name, *captions, answer))) + "\n")


def write_features(directory: pathlib.Path, *, videos: int = 40, first: int = 0) -> None:
  """`videoN.npy`, 6 frames (videos divisible by five: 3), float16 `[frames, 16]`."""
  directory.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(first)
  for number in range(first, first + videos):
    colour, action = _scene(number)
    frames = 3 if number % 5 == 0 else 6
    values = 0.1 * rng.standard_normal((frames, FEATURES))
    values[:, COLOURS.index(colour)] += 1.0
    values[frames // 2 :, 8 + ACTIONS.index(action)] += 1.0
    np.save(directory / f"video{number}.npy", values.astype(np.float16))


def write_frames(directory: pathlib.Path, *, videos: int = 40, first: int = 0) -> None:
  """`videoN/NN.png`, 6 small pictures whose colours follow from the video's number."""
  from PIL import Image

  shades = {"red": 0, "green": 1, "blue": 2}
  for number in range(first, first + videos):
    colour, action = _scene(number)
    folder = directory / f"video{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(6):
      frame = np.full((24, 32, 3), 30 + 20 * ACTIONS.index(action) * (place > 2), np.uint8)
      frame[6:18, 8:24, shades.get(colour, number % 3)] = 255
      Image.fromarray(frame).save(folder / f"{place:02d}.png")


def prepare(
    root: pathlib.Path,
    *,
    media: str = "features",
    videos: int = 40,
    first: int = 0,
    family: str = "msrvtt",
    datasets: tuple[str, ...] = MSRVTT,
    absent: tuple[int, ...] = (),
    out: pathlib.Path | None = None,
) -> pathlib.Path:
  """Prepares the datasets into one family under `root`; returns the `--out` folder.

  The features of the videos numbered in `absent` are not there, and are skipped. An `out` that is
  given may hold other datasets of the family.
  """
  annotations, folder, out = root / "annotations", root / media, out or root / "out"
  write_annotations(annotations, videos=videos, first=first)
  {"features": write_features, "frames": write_frames}[media](folder, videos=videos, first=first)
  for number in absent:
    (folder / f"video{number}.npy").unlink()
  for dataset in datasets:
    prepare_dataset.prepare(
        prepare_dataset.Options(
            dataset=dataset,
            annotations=str(annotations),
            media=str(folder),
            out=str(out),
            family=family,
            num_workers=1,
            vocab_size=80,
            skip_broken=bool(absent),
        )
    )
  return out


def _scene(number: int) -> tuple[str, str]:
  return COLOURS[number % len(COLOURS)], ACTIONS[number // len(COLOURS) % len(ACTIONS)]
