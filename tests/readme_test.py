"""Every command of the README runs as it stands there, on a tiny dataset in the layout it names."""

import json
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from tests import bert_checkpoint, tiny

ROOT = pathlib.Path(__file__).resolve().parents[1]
TINY = ["--config.data.dev_fraction=0.3", f"--config.model.video.feature_width={tiny.FEATURES}"]
# What a tiny dataset needs beyond the README's words, and two cells of the grid for all of them;
# nothing else here changes what is run.
SMALL = {
    "mla_jax.prepare": ["--vocab_size=80", "--workers=1"],
    "mla_jax.main --config": TINY,
    "mla_jax.experiment": [*TINY, "--cells=task,task_global"],
    "$MINILM": [f"--config.model.text.vocab_size={len(bert_checkpoint.VOCABULARY)}"],
}
BERT = {
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_size": 16,
    "max_position_embeddings": 512,
}


def commands() -> list[str]:
  blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.M)
  lines = [line for block in blocks for line in block.splitlines()]
  return [line for line in lines if line.split()[:1] in (["python"], ["make"])]


def small(command: str, data: pathlib.Path) -> list[str]:
  """The README's words with the tiny dataset's places and the configs' debug sizes."""
  placed = command.replace("$DATA", str(data)).replace("$MINILM", str(data / "bert"))
  words = shlex.split(placed)
  more = [word for part, extra in SMALL.items() if part in command for word in extra]
  for i, word in enumerate(words):
    flag = "--config=" if word.startswith("--config=") else ""
    path, _, variant = word.removeprefix(flag).partition(":")
    if path.startswith("configs/"):
      words[i] = f"{flag}{ROOT / path}:{f'{variant},' if variant else ''}debug"
  return [sys.executable, *words[1:], *more]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  data = tmp_path_factory.mktemp("data")
  tiny.write_annotations(data)
  tiny.write_features(data / "features")
  bert_checkpoint.write(data / "bert", BERT)
  return data


def test_the_readme_has_the_commands_this_file_knows() -> None:
  found = commands()
  assert {line for line in found if line.startswith("make")} == {"make demo", "make test"}
  modules = {line.split()[2] for line in found if line.startswith("python")}
  assert modules == {
      f"mla_jax.{name}" for name in (
          "prepare", "verify", "main", "compare", "leakage", "probe", "experiment"
      )
  }
  assert len(found) >= 10


def test_nothing_of_the_paper_is_claimed() -> None:
  """Its abstract is all that is public: no encoder, no data set and no number of it is known."""
  readme = " ".join((ROOT / "README.md").read_text().split())
  assert "All that is public of the paper is its abstract" in readme
  assert "does not claim to reproduce its tables" in readme


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_knows_the_readmes_targets(target: str) -> None:
  planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False)
  assert planned.returncode == 0, planned.stderr


@pytest.mark.slow
def test_a_real_dataset_from_zero_to_numbers(data, tmp_path) -> None:
  for command in commands():
    if not command.startswith("python"):
      continue
    done = subprocess.run(
        small(command, data), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
    if "mla_jax.main" in command:
      result = json.loads(done.stdout.splitlines()[-1])
      assert {"text_to_video", "accuracy", "memory_per_chip"} & set(result)
  assert list((tmp_path / "runs" / "mini" / "report").glob("*.html"))
