"""Answers joined with the moments of the same questions, by the command."""

import json
import pathlib
import subprocess
import sys

import pytest

from mla_jax import grounded
from mla_jax.errors import UserError
from tests.evals.dumps_test import write

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Right and inside; right and beside; right, inside and narrow; wrong and inside.
ANSWERS = [
    {"id": f"q{i}", "video": f"v{i}", "correct": i != 3, "predicted": "yes"} for i in range(5)
]
MOMENTS = [
    {"id": "q3", "video": "v3", "window": [2.0, 8.0], "moments": [[2.0, 8.0]]},
    {"id": "q0", "video": "v0", "window": [2.0, 8.0], "moments": [[50.0, 60.0], [2.0, 8.0]]},
    {"id": "q1", "video": "v1", "window": [0.0, 2.0], "moments": [[2.0, 8.0]]},
    {"id": "q2", "video": "v2", "window": [3.0, 4.0], "moments": [[2.0, 8.0]]},
]


def test_the_command_joins_by_question(tmp_path: pathlib.Path) -> None:
  paths = [tmp_path / "eval" / name for name in ("a.jsonl", "a_localisation.jsonl")]
  for path, rows in zip(paths, (ANSWERS, MOMENTS), strict=True):
    write(path, rows)
  done = subprocess.run(
      [sys.executable, "-m", "mla_jax.grounded", *map(str, paths)],
      cwd=ROOT, capture_output=True, text=True, check=False,
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout.splitlines()[-1])
  assert (found["accuracy"], found["acc_gqa"], found["asa"]) == (75.0, 50.0, 25.0)
  assert (found["questions"], found["questions_without_moment"]) == (4, 1)
  assert "acc_gqa     50.00 [" in done.stdout
  swapped = subprocess.run(
      [sys.executable, "-m", "mla_jax.grounded", *map(str, reversed(paths))],
      cwd=ROOT, capture_output=True, text=True, check=False,
  )
  assert swapped.returncode == 1
  assert swapped.stderr.startswith("error: 1 questions with a moment were not answered (q4)")


def test_questions_without_their_video_are_wrong_and_not_found() -> None:
  missing = [
      {"id": f"m{i}", "video": f"w{i}", "correct": False, "video_missing": True} for i in range(4)
  ]
  found = grounded.grounded_answers([*ANSWERS, *missing], MOMENTS, resamples=20)
  assert (found["questions"], found["questions_without_video"]) == (8, 4)
  assert found["questions_without_moment"] == 1
  assert (found["accuracy"], found["acc_gqa"], found["asa"]) == (37.5, 25.0, 12.5)
  alone = grounded.grounded_answers(ANSWERS, MOMENTS, resamples=20)
  for name in ("mean_iou", "mean_iop", "iou_0.5", "iop_0.3"):
    assert found[name] == pytest.approx(alone[name] / 2)


def test_dumps_of_other_tasks_are_refused() -> None:
  with pytest.raises(UserError, match=r"answers: its rows have no correct: give the dump of answ"):
    grounded.grounded_answers([{"id": "q1", "video": "v1", "rank": 3}], MOMENTS[2:3])
  with pytest.raises(UserError, match="moments: its rows have no window and moments"):
    grounded.grounded_answers(ANSWERS, ANSWERS)
  with pytest.raises(UserError, match=r"1 questions with a moment were not answered \(7\)"):
    grounded.grounded_answers([ANSWERS[0] | {"id": 3}], [MOMENTS[0] | {"id": 7}])


def test_rows_without_a_video_are_videos_of_their_own() -> None:
  answers, moments = (
      [{key: value for key, value in row.items() if key != "video"} for row in rows]
      for rows in (ANSWERS, MOMENTS)
  )
  expected = grounded.grounded_answers(ANSWERS, MOMENTS, resamples=20)
  assert grounded.grounded_answers(answers, moments, resamples=20) == expected
