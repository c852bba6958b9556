"""launch/best.sh runs the steps of the recipe in order, and none behind one that failed."""

import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import pytest

from mla_jax import config_lib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "launch" / "best.sh")
# Becomes its arguments with the SIGINT of a terminal: what a shell starts behind `&`, and all that
# is started by it, ignores that signal.
LISTENING = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    " os.execv(sys.argv[1], sys.argv[1:])"
)


def environment(python: str) -> dict[str, str]:
  return {"PATH": os.environ["PATH"], "PYTHON": python}


def run(*words: str, python: str = "/no/python") -> subprocess.CompletedProcess[str]:
  return subprocess.run(
      [SCRIPT, *words], env=environment(python), capture_output=True, text=True, check=False
  )


def planned(*more: str) -> list[list[str]]:
  done = run("--data=a b", "--out=o p", "--dry_run", *more)
  assert (done.returncode, done.stderr) == (0, "")
  return [shlex.split(line)[2:] for line in done.stdout.splitlines()]


def test_everything_is_trained_on_and_evaluated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.chdir(ROOT)
  both = planned("--seed=3", "--held=h")
  assert both[:5] == planned("--seed=3")
  prepared = [words[1] for words in both if words[0] == "mla_jax.prepare"]
  texts = ["msrvtt_retrieval", "timed_captions", "msrvtt_qa", "msrvtt_retrieval", "msrvtt_qa"]
  assert prepared == texts
  for words, task in zip(both[3:5], ("retrieval", "open_ended_qa"), strict=True):
    flags = dict(word.removeprefix("--").split("=", 1) for word in words[1:])
    changes = {k.removeprefix("config."): v for k, v in flags.items() if k.startswith("config.")}
    config = config_lib.load_config(flags["config"], changes)
    assert (config.task, config.seed, config.data.dev_fraction) == (task, 3, 0)
    assert (config.data.dir, config.model.text.kind) == ("o p/data", "bert")
    assert flags["stopped_exit_code"] == "143"
  assert [words[1:] for words in both[-2:]] == [
      [
          "--mode=eval", f"--workdir=o p/{name}", "--config.data.dir=o p/held",
          f"--config.data.eval_split={split}",
      ]
      for name, split in (("retrieval", "validate"), ("qa", "val"))
  ]


@pytest.mark.parametrize(
    ("words", "said"), [(["--data=a"], "--out=DIR"), (["--dta=a"], "--dta=a: not known")]
)
def test_what_is_missing_is_said(words: list[str], said: str) -> None:
  done = run(*words)
  assert done.returncode == 2 and said in done.stderr


def interpreter(folder: pathlib.Path, training: str) -> str:
  """A stand-in that notes what it is asked for; `training` is what it does for one."""
  path = folder / "python"
  path.write_text(
      f'#!/bin/bash\n[[ $1 != -c ]] || exit 1\necho "$2 ${{4:-}}" >>{folder}/asked\n'
      f'[[ $2 != mla_jax.main ]] || {{ {training}; }}\n'
  )
  path.chmod(0o755)
  return str(path)


def test_without_weights_it_says_so(tmp_path: pathlib.Path) -> None:
  done = run("--data=a", "--out=b", python=interpreter(tmp_path, "exit 0"))
  assert done.returncode == 2 and "make minilm" in done.stderr
  assert asked(tmp_path) == []


def asked(folder: pathlib.Path) -> list[str]:
  path = folder / "asked"
  return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def test_a_step_that_fails_is_the_last(tmp_path: pathlib.Path) -> None:
  python = interpreter(tmp_path, "exit 7")
  done = run("--data=d", "--out=o", "--held=h", "--pretrained=w", python=python)
  assert done.returncode == 7
  assert asked(tmp_path) == ["mla_jax.prepare"] * 3 + ["mla_jax.main"]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_training_and_ends_all(
    tmp_path: pathlib.Path, sent: signal.Signals
) -> None:
  ends = f"kill $!; echo saved >{tmp_path}/saved; exit 143"
  saves = f'sleep 60 & trap "{ends}" TERM; wait'
  process = subprocess.Popen(
      [
          sys.executable, "-c", LISTENING,
          SCRIPT, "--data=d", "--out=o", "--held=h", "--pretrained=w",
      ],
      env=environment(interpreter(tmp_path, saves)),
  )
  while "mla_jax.main" not in asked(tmp_path):
    time.sleep(0.05)
  time.sleep(0.3)  # The stand-in sets its trap behind its note.
  process.send_signal(sent)
  assert process.wait(timeout=30) == 143
  assert (tmp_path / "saved").exists()
  assert asked(tmp_path).count("mla_jax.main") == 1
