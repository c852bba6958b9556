"""The embedded demo, from nothing to numbers: python -m mla_jax.demo --out=runs/demo.

Renders videos, prepares them, trains `configs/demo.py` and the same model without video, evaluates
both, and prints a table. Each step is a command or function that any dataset uses. Cut short and
started again it goes on where it was. What follows `--` goes to the trainings, for instance
`-- --config.train.steps=20`.
"""

from collections import Counter
import json
import pathlib
import shlex
import subprocess
import sys
import time
from typing import Any

from absl import app, flags

from mla_jax import cores
from mla_jax.errors import UserError, check_folder, exit_on_user_error

_OUT = flags.DEFINE_string("out", "runs/demo", "Folder for everything the demo makes.")
_CONFIG = flags.DEFINE_string("config", None, "Config file, if not the repository's demo.py.")
_TRAIN = flags.DEFINE_integer("train_clips", 3000, "Clips of the train split.", lower_bound=1)
_TEST = flags.DEFINE_integer("test_clips", 300, "Clips of the test split.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the clips.", lower_bound=0)
_TASKS = ("retrieval", "qa", "timed_captions")
_ROOT = pathlib.Path(__file__).resolve().parents[1]


@exit_on_user_error
def main(argv: list[str]) -> None:
  start = time.monotonic()
  check_folder("--out", _OUT.value)
  out = pathlib.Path(_OUT.value)
  config = _config_file()
  make_data(out, train=_TRAIN.value, test=_TEST.value, seed=_SEED.value)
  data_seconds = time.monotonic() - start
  results = train_and_evaluate(out, config, argv[1:])
  seconds = time.monotonic() - start
  print(table(results, chance(out)))
  print(f"\n{seconds:.0f} s in all: {data_seconds:.0f} s for the data, the rest for training and")
  print(f"evaluating two models. Reports: {out / 'run' / 'report'}")


def make_data(out: pathlib.Path, *, train: int, test: int, seed: int) -> None:
  """Renders `OUT/raw` and prepares `OUT/data`.

  Raises:
    UserError: OUT holds a demo of other settings, or cannot be written.
  """
  # Heavy, and not needed for --help.
  from mla_jax.data import prepare_dataset
  from mla_jax.data.demo.write import VIDEOS, write_demo

  raw = out / "raw"
  _say(f"rendering {train} + {test} clips to {raw}")
  write_demo(raw, train=train, test=test, seed=seed, workers=cores.count())
  tokenizer = _train_tokenizer(raw, out)
  for task in _TASKS:
    options = prepare_dataset.Options(
        dataset=f"demo_{task}",
        annotations=str(raw),
        media=str(raw / VIDEOS),
        out=str(out / "data"),
        tokenizer=str(tokenizer),
    )
    given = {name: getattr(options, name) for name in ("annotations", "media", "out", "tokenizer")}
    words = [f"--{name}={value}" for name, value in given.items()]
    _say(shlex.join(["python -m mla_jax.prepare", options.dataset, *words]))
    prepare_dataset.prepare(options)


def train_and_evaluate(
    out: pathlib.Path, config: pathlib.Path, extra: list[str]
) -> dict[str, dict[str, Any]]:
  """Trains the model and its twin without video.

  Returns:
    The evaluations' JSON: "qa", "retrieval", and "blind", the twin's answers to the questions.

  Raises:
    UserError: a command failed; it has said why.
  """
  data = f"--config.data.dir={out / 'data'}"
  run, twin = f"--workdir={out / 'run'}", f"--workdir={out / 'no_video'}"
  other_task = ["--config.task=retrieval", "--config.data.eval_texts=retrieval"]
  return {
      "qa": _run([f"--config={config}", run, data, *extra]),
      "retrieval": _run(["--mode=eval", run, *other_task]),
      "blind": _run([f"--config={config}:no_video", twin, data, *extra]),
  }


def chance(out: pathlib.Path) -> dict[str, float]:
  """Percent right of a guess among the train answers to questions of the same type, by type.

  "all" is the mean over the test questions.
  """
  from mla_jax.data import annotations

  items = annotations.read("demo_qa", out / "raw").items
  answers: dict[str, set[str]] = {}
  for item in items:
    if item.split == "train":
      answers.setdefault(item.question_type, set()).add(item.answer)
  shares = {name: 100.0 / len(found) for name, found in sorted(answers.items())}
  asked = Counter(item.question_type for item in items if item.split == "test")
  mean = sum(shares.get(name, 0.0) * count for name, count in asked.items()) / asked.total()
  return {"all": mean} | shares


def table(results: dict[str, dict[str, Any]], guess: dict[str, float]) -> str:
  """The demo's numbers in percent, beside those of the model without video and of chance."""
  qa, blind = results["qa"], results["blind"]
  rows: list[tuple[str, ...]] = [("", "with video", "no video", "chance")]
  rows.append(_row("question answering, accuracy", qa["accuracy"], blind["accuracy"], guess["all"]))
  for name, numbers in qa["by_type"].items():
    other = blind["by_type"][name]["accuracy"]
    rows.append(_row(f"  {name}", numbers["accuracy"], other, guess.get(name)))
  for direction in ("text_to_video", "video_to_text"):
    numbers = results["retrieval"][direction]
    for k in (1, 5, 10):
      by_chance = min(100.0, 100.0 * k / numbers["gallery"])
      name = f"{direction.replace('_', '-')} retrieval, R@{k}"
      rows.append(_row(name, numbers[f"recall_at_{k}"], None, by_chance))
  width = max(len(row[0]) for row in rows)
  lines = [name.ljust(width) + "".join(cell.rjust(12) for cell in cells) for name, *cells in rows]
  return "\n".join(lines)


def _row(name: str, *numbers: float | None) -> tuple[str, ...]:
  return (name, *("-" if number is None else f"{number:.1f} %" for number in numbers))


def _config_file() -> pathlib.Path:
  path = pathlib.Path(_CONFIG.value) if _CONFIG.value else _ROOT / "configs" / "demo.py"
  if not path.exists():
    raise UserError(
        f"{path}: not there; the configs come with the repository, not with the wheel: clone it "
        "and run `make demo`, or give --config"
    )
  return path


def _train_tokenizer(raw: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
  """One tokenizer for captions and questions, from the train split."""
  from mla_jax.data import annotations
  from mla_jax.data.text import train_tokenizer

  path = out / "tokenizer.model"
  if not path.exists():
    items = (item for task in _TASKS[:2] for item in annotations.read(f"demo_{task}", raw).items)
    texts = [f"{item.text} {item.answer}".strip() for item in items if item.split == "train"]
    train_tokenizer(texts, path, vocab_size=256)
  return path


def _run(arguments: list[str]) -> dict[str, Any]:
  """Runs `mla_jax.main` and returns the JSON of its last line."""
  command = [sys.executable, "-m", "mla_jax.main", *arguments]
  _say(shlex.join(["python", *command[1:]]))
  done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
  if done.returncode:
    raise UserError(f"demo: the command above failed (exit code {done.returncode}): see its error")
  lines = done.stdout.splitlines()
  if not lines:  # Told to stop, it saved its state and ended well.
    raise UserError("demo: the training was stopped; the same command goes on with it")
  result: dict[str, Any] = json.loads(lines[-1])
  return result


def _say(text: str) -> None:
  print(f"\n== {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
  app.run(main)
