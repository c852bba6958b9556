"""The demo's own parts: its data through the ordinary preparation, its chance level, its table."""

import pathlib
import subprocess
import sys

import pytest

from mla_jax import demo
from mla_jax.data import records
from mla_jax.data.text import Tokenizer
from mla_jax.errors import UserError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  out = tmp_path_factory.mktemp("demo")
  demo.make_data(out, train=12, test=4, seed=0)
  return out


def content(folder: pathlib.Path) -> dict[pathlib.Path, bytes]:
  return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_data_are_prepared_as_any_dataset(made: pathlib.Path) -> None:
  family = made / "data" / "demo"
  media = records.MediaStore.open(family / "media")
  assert (media.kind, len(media)) == ("jpeg", 16)
  texts = {"retrieval": (24, 4), "qa": (96, 16), "timed_captions": (12, 4)}
  for task, (train, test) in texts.items():
    store = records.TextStore.open(family / task)
    assert store.splits == {"train": train, "test": test}
    assert (store.media_index("test") >= 0).all()
  timed = records.TextStore.open(family / "timed_captions").read("test", [0])[0]
  assert timed.segments[0].start_time == 0.0
  assert timed.segments[-1].end_time == 2.0 * len(timed.segments)


def test_one_tokenizer_knows_captions_and_questions(made: pathlib.Path) -> None:
  family = made / "data" / "demo"
  models = {(family / t / "tokenizer.model").read_bytes() for t in ("retrieval", "qa")}
  assert len(models) == 1
  tokenizer = Tokenizer.from_bytes(models.pop())
  for task in ("retrieval", "qa", "timed_captions"):
    store = records.TextStore.open(family / task)
    for record in store.read("train", range(12)):
      found = tokenizer.encode(record.text, (), length=64, most_segments=4)
      assert found.mask.sum() <= 32  # Words, not letters: what text_length of the config allows.
      assert not (found.ids[found.mask] == 1).any()


def test_made_again_it_changes_no_byte(made: pathlib.Path) -> None:
  before = content(made)
  demo.make_data(made, train=12, test=4, seed=0)
  assert content(made) == before
  with pytest.raises(UserError, match="other settings"):
    demo.make_data(made, train=13, test=4, seed=0)


def test_chance_is_a_guess_among_the_answers_of_the_type(made: pathlib.Path) -> None:
  guess = demo.chance(made)
  assert set(guess) == {"all", "action", "colour", "shape"}
  assert 10 <= guess["action"] <= 20  # At most 10 actions, 6 colours and 4 shapes.
  assert 100 / 6 <= guess["colour"] <= 25
  assert 25 <= guess["shape"] <= 34
  mean = (2 * guess["action"] + guess["colour"] + guess["shape"]) / 4
  assert guess["all"] == pytest.approx(mean)


def test_the_table_has_every_number_in_its_column() -> None:
  ranks = {"recall_at_1": 41.5, "recall_at_5": 70.0, "recall_at_10": 82.25, "gallery": 250}
  right = {"accuracy": 80.0, "by_type": {"colour": {"accuracy": 90.0}}}
  blind = {"accuracy": 22.0, "by_type": {"colour": {"accuracy": 19.0}}}
  results = {
      "qa": right,
      "blind": blind,
      "retrieval": {"text_to_video": ranks, "video_to_text": ranks},
  }
  lines = demo.table(results, {"all": 15.0, "colour": 100 / 6}).splitlines()
  cells = {line[:29].strip(): line[29:].split() for line in lines}
  assert cells[""] == ["with", "video", "no", "video", "chance"]
  assert cells["question answering, accuracy"] == ["80.0", "%", "22.0", "%", "15.0", "%"]
  assert cells["colour"] == ["90.0", "%", "19.0", "%", "16.7", "%"]
  assert cells["text-to-video retrieval, R@1"] == ["41.5", "%", "-", "0.4", "%"]
  assert cells["video-to-text retrieval, R@10"] == ["82.2", "%", "-", "4.0", "%"]
  assert len({len(line) for line in lines}) == 1


def test_a_missing_config_is_one_clear_line(tmp_path: pathlib.Path) -> None:
  command = [sys.executable, "-m", "mla_jax.demo", f"--out={tmp_path}/o", "--config=none.py"]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 1
  assert done.stderr.strip().startswith("error: none.py: not there")
  assert "\n" not in done.stderr.strip()
  assert not (tmp_path / "o").exists()
