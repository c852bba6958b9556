"""The command from end to end, as a user runs it."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.evals.dumps_test import write

ROOT = pathlib.Path(__file__).resolve().parents[1]


def compare(*args: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
  return subprocess.run(
      [sys.executable, "-m", "mla_jax.compare", *map(str, args)],
      cwd=ROOT, capture_output=True, text=True, check=False,
  )


@pytest.fixture
def runs(tmp_path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
  """30 questions about 10 videos; B answers 14 that A does not, A answers 2 that B does not."""
  for run, right in (("a", range(10)), ("b", [*range(2, 24)])):
    rows = [
        {
            "id": f"q{i}", "video": f"v{i // 3}", "text": f"what is {i}?", "type": "what",
            "answer": "dog", "predicted": "dog" if i in right else "cat", "correct": i in right,
        }
        for i in range(30)
    ]
    write(tmp_path / run / "eval" / "tiny_qa_val.jsonl", rows if run == "a" else rows[::-1])
  return tmp_path / "a", tmp_path / "b"


def test_two_workdirs(runs: tuple[pathlib.Path, pathlib.Path], tmp_path: pathlib.Path) -> None:
  out = tmp_path / "flips.jsonl"
  done = compare(*runs, f"--out={out}", "--resamples=1000")
  assert done.returncode == 0, done.stderr
  *lines, last = done.stdout.splitlines()
  found = json.loads(last)
  assert found["metrics"]["accuracy"]["difference"] == pytest.approx(40.0)
  # The videos that differ by -2, 2, 3, 3, 3, 3: 6 of their 64 choices of signs reach 12.
  assert found["metrics"]["accuracy"]["p_value"] == 6 / 64
  assert found["flips"] == {"gained": 14, "lost": 2}
  assert found["a"].endswith("a/eval/tiny_qa_val.jsonl")
  assert "14 gained: B alone is right" in lines
  assert "  q10: what is 10? (A 'cat', B 'dog', answer 'dog')" in lines
  assert sum(line.startswith("  q") for line in lines) == 10 + 2
  flipped = [json.loads(line) for line in out.read_text().splitlines()]
  assert [row["direction"] for row in flipped] == ["gained"] * 14 + ["lost"] * 2
  assert {row["id"] for row in flipped if row["direction"] == "lost"} == {"q0", "q1"}
  assert flipped[0]["a"]["predicted"] == "cat"


def test_what_a_metric_is_of_and_what_is_not_compared_is_printed(
    tmp_path: pathlib.Path,
) -> None:
  rows = [
      {"id": i, "video": f"v{i // 2}", "rank": 1.0 + i, "ties": 0} | (
          {"video_rank": 2.0 + i, "video_ties": 0} if i % 2 == 0 else {})
      for i in range(4)
  ]
  older = [{k: v for k, v in row.items() if not k.startswith("video_")} for row in rows]
  dump, other = write(tmp_path / "a.jsonl", rows), write(tmp_path / "b.jsonl", older)
  lines = compare(dump, dump, "--resamples=5").stdout.splitlines()
  assert any(line.startswith("recall_at_1   ") for line in lines)
  assert any(line.startswith("video_to_text_mean_rank (of 2) (lower is better)") for line in lines)
  assert not any("not compared" in line for line in lines)
  said = compare(dump, other, "--resamples=5").stdout
  assert "not compared, since one run alone has them: video_to_text_mean_rank, " in said


def test_what_is_wrong_is_one_line(
    runs: tuple[pathlib.Path, pathlib.Path], tmp_path: pathlib.Path
) -> None:
  dump = runs[0] / "eval" / "tiny_qa_val.jsonl"
  short = write(tmp_path / "short.jsonl", [json.loads(dump.read_text().splitlines()[0])])
  for args, said in (
      ((dump,), "usage"),
      ((dump, short), "29 only in A"),
      ((dump, dump, f"--out={tmp_path}/none/flips.jsonl"), "cannot be written"),
      ((dump, dump, "--resamples=0"), "resamples=0"),
  ):
    done = compare(*args)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not done.stdout
  done = compare(dump, dump, "--seed=-1")
  assert done.returncode == 1
  assert "flag --seed=-1: -1 is not a non-negative integer" in done.stderr
  assert "Traceback" not in done.stderr
