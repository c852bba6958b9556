"""Subtitles from TVQA's files to the choice: prepared, trained on, evaluated, counted."""

import json
import pathlib

import pytest

from mla_jax import config_lib, eval_lib, train_lib
from mla_jax.data import prepare_dataset
from mla_jax.errors import UserError
from mla_jax.tasks.registry import make_task
from tests import tiny

WORDS = (*tiny.COLOURS[:5],)
SUBTITLES = "tvqa_preprocessed_subtitles.jsonl"


def write(folder: pathlib.Path, *, subtitles: bool) -> pathlib.Path:
  """Questions whose answer is said at their moment, and another candidate elsewhere."""
  folder.mkdir()
  lines: dict[str, list[dict]] = {"tvqa_train.jsonl": [], "tvqa_val.jsonl": []}
  spoken = []
  for number in range(30):
    answer, name = number % 5, f"s01e01_seg01_clip_{number:02d}"
    candidates = {f"a{i}": word for i, word in enumerate(WORDS)}
    # Every third question has no time stamps.
    lines["tvqa_train.jsonl" if number < 20 else "tvqa_val.jsonl"].append(candidates | {
        "answer_idx": answer, "q": "what is said ?", "qid": number, "vid_name": name,
        "ts": "nan-nan" if number % 3 == 0 else "1.5-3",
    })
    said = [("well", 0, 1), (WORDS[answer], 2, 2.5), (WORDS[answer - 1], 4, 5)]
    spoken.append({"vid_name": name, "sub": [
        {"text": text, "start": start, "end": end} for text, start, end in said[: 3 * (number < 28)]
    ]})
  if subtitles:
    lines[SUBTITLES] = spoken
  for name, rows in lines.items():
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
  return folder


def prepare(root: pathlib.Path, *, subtitles: bool = True) -> pathlib.Path:
  folder = write(root / "annotations", subtitles=subtitles)
  prepare_dataset.prepare(prepare_dataset.Options(
      dataset="tvqa", annotations=str(folder), out=str(root / "out"), vocab_size=60))
  return root / "out"


def config(data: pathlib.Path, argument: str, **changes):
  fixed = {"data.dir": str(data), "data.dev_fraction": 0.2}
  return config_lib.load_config(f"configs/tvqa.py:no_video,{argument},debug", fixed | changes)


def test_a_run_reads_what_is_said_and_counts_what_it_does_not(tmp_path):
  chosen = config(prepare(tmp_path), "subtitles=moment", **{"data.text_length": 8})
  assert chosen.name == "tvqa_subtitles_moment_no_video"
  run = train_lib.train(chosen, tmp_path / "work")
  result = eval_lib.evaluate(run)
  assert result["questions"] == 10
  assert result["questions_with_subtitles"] == 8  # Of the last two clips nothing is known.
  counted = [result["questions_cut"], result["subtitles_cut"]]
  tokenizer = run.reader.tokenizer
  asked = [f"what is said ? {word}" for word in WORDS]
  assert counted[0] == 10 * any(tokenizer.count(text) > 8 for text in asked)
  assert counted[0] <= counted[1] <= 8


def test_texts_without_subtitles_are_refused_before_there_is_a_step(tmp_path):
  chosen = config(prepare(tmp_path, subtitles=False), "subtitles=all")
  with pytest.raises(UserError, match=r"no text in it has subtitles: prepare it again") as error:
    train_lib.train(chosen, tmp_path / "work")
  assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data.subtitles": "al"}, "data.subtitles='al': unknown: did you mean 'all'"),
        ({"data.subtitles": "all", "task": "retrieval"}, "task 'retrieval' reads none"),
    ],
)
def test_what_cannot_be_read_is_one_line(changes, said):
  chosen = config_lib.load_config("configs/tvqa.py:debug", changes)
  with pytest.raises(UserError, match=said):
    make_task(chosen)


@pytest.mark.parametrize("name", ["tvqa", "how2qa"])
def test_the_configs_make_room(name):
  plain = config_lib.load_config(f"configs/{name}.py")
  heard = config_lib.load_config(f"configs/{name}.py:subtitles=all")
  assert (plain.data.subtitles, plain.data.text_length < 100) == ("", True)
  assert (heard.data.subtitles, heard.data.text_length) == ("all", 256)
  assert heard.data.text_length <= heard.model.text.max_length
