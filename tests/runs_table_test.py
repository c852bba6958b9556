"""The README's table of every run: it names every config, and its commands are real."""

import json
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from mla_jax import config_lib
from mla_jax.data import annotations
from tests.data.annotations import layouts

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = {path.name for path in (ROOT / "configs").glob("*.py")} - {"common.py", "variants.py"}
# Parses command lines by the commands' own flags; a flag they do not have ends it.
_PARSE = """
import json, sys
from absl import flags
from mla_jax import config_lib, MODULES
names = {"mla_jax.prepare": 1, "mla_jax.grounded": 2}
for words in json.load(sys.stdin):
  flags.FLAGS.unparse_flags()
  flags.FLAGS["config_override"].unparse()
  left = config_lib.parse_flags(words)[1:]
  assert len(left) == names.get(words[0], 0), words
"""


def rows() -> list[list[str]]:
  """The commands of each row."""
  text = (ROOT / "README.md").read_text()
  section = text.split("## Every run\n")[1].split("\n## ")[0]
  lines = [line for line in section.splitlines() if line.startswith("| ")]
  return [re.findall(r"`((?:python|make) .*?)`", line) for line in lines[1:]]


def in_blocks() -> list[str]:
  text = (ROOT / "docs" / "datasets.md").read_text().replace("\\\n", " ")
  blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.M)
  return [line for block in blocks for line in block.splitlines() if line.startswith("python")]


ROWS = rows()
RUNS = [row for row in ROWS if row[0].startswith("python")]


def words_of(command: str) -> list[str]:
  """The command's words from its module on."""
  words = shlex.split(command)
  assert words[:2] == ["python", "-m"]
  return words[2:]


def value(words: list[str], flag: str) -> str | None:
  found = [word.partition("=")[2] for word in words if word.startswith(f"--{flag}=")]
  return found[0] if found else None


def test_every_config_has_a_row_with_commands_and_terms() -> None:
  text = (ROOT / "README.md").read_text()
  section = text.split("## Every run\n")[1].split("\n## ")[0]
  named = set(re.findall(r"configs/(\w+\.py)", section))
  assert named == CONFIGS
  assert all(ROWS)
  table = [line for line in section.splitlines() if line.startswith("| ")]
  assert all(line.count(" | ") == 2 and line.split(" | ")[2].strip(" |") for line in table)


def test_the_commands_have_flags_that_exist() -> None:
  lines = [words_of(command) for row in [*RUNS, in_blocks()] for command in row]
  assert len(lines) >= 2 * len(RUNS)
  composing = [words for words in lines if words[0] == "mla_jax.compose"]
  assert composing  # Its flags are named as those of `prepare`: not in one process.
  others = [words for words in lines if words not in composing]
  for modules, given in (("compose, main", composing), ("grounded, main, prepare", others)):
    done = subprocess.run(
        [sys.executable, "-c", _PARSE.replace("MODULES", modules)], input=json.dumps(given),
        cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("row", RUNS, ids=lambda row: value(words_of(row[-1]), "workdir"))
def test_a_run_reads_what_its_commands_prepare(row, tmp_path) -> None:
  """The family and the folders of texts that the readers name are those of the config."""
  *prepares, train = map(words_of, row)
  written = set()
  for number, words in enumerate(prepares):
    folder = tmp_path / str(number)
    folder.mkdir()
    layouts.write(words[1], folder)
    read = annotations.read(words[1], folder)
    written.add((value(words, "family") or read.family, read.task))
  given = [word.removeprefix("--config.") for word in train if word.startswith("--config.")]
  overrides = dict(word.split("=", 1) for word in given)
  config = config_lib.load_config(str(ROOT / (value(train, "config") or "")), overrides)
  data = config.data
  texts = {data.eval_texts, *(source.texts for source in data.sources.values())}
  assert written == {(data.family, folder) for folder in texts}
  assert data.tokenizer.split("/")[0] in texts
  assert data.dir == value(prepares[0], "out")
  if config.model.video.kind == "pixels":
    sides = [value(words, "short_side") for words in prepares]
    assert all(int(side or 128) >= data.image_size for side in sides)
