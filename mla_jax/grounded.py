"""Answers that are right where the run also looked: python -m mla_jax.grounded ANSWERS MOMENTS.

Two .jsonl dumps of the same questions: of an evaluation that answers them, and of one with
--config.task=localisation. Prints accuracy, the overlap of each question's window with its true
moment, Acc@GQA (NExT-GQA: right, and half of the window inside a true moment) and ASA (TVQA+:
right, and an IoU of 0.5), all in percent; the last line is JSON.
"""

from collections.abc import Sequence
import json
from typing import Any

from absl import app, flags
import numpy as np

from mla_jax import log
from mla_jax.errors import UserError, exit_on_user_error
from mla_jax.evals import dumps
from mla_jax.evals.dumps import Row
from mla_jax.evals.grounding import grounding

_WINDOWS = ["window", "moments"]
_RESAMPLES = flags.DEFINE_integer("resamples", 1000, "Draws of the intervals.", lower_bound=1)


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) != 3:
    raise UserError("usage: python -m mla_jax.grounded ANSWERS.jsonl MOMENTS.jsonl")
  log.configure()
  answers, moments = map(dumps.read_dump, argv[1:])
  found = grounded_answers(answers, moments, resamples=_RESAMPLES.value)
  for name, (low, high) in found["interval"].items():
    print(f"{name:10} {found[name]:6.2f} [{low:.2f}, {high:.2f}]")
  print(json.dumps(found))


def grounded_answers(
    answers: Sequence[Row], moments: Sequence[Row], *, resamples: int = 1000
) -> dict[str, Any]:
  """What `grounding` says of the questions with a moment, and how many have none.

  A question whose video is missing is wrong, and its moment, which the dump of answers does not
  have, counts as not found; "questions_without_video" says of how many this is true. One that was
  answered and has no moment is left out, and counted.

  Args:
    answers: rows of a dump with "correct".
    moments: rows with "window" and "moments", of some or all of the same questions.
    resamples: of the bootstrap; whole videos are drawn, a row without "video" by itself.

  Raises:
    UserError: rows of another task, or a question with a moment that was not answered.
  """
  by_id = {row["id"]: row for row in answers}
  missing = [str(row["id"]) for row in moments if row["id"] not in by_id]
  if missing:
    raise UserError(
        f"{len(missing)} questions with a moment were not answered ({', '.join(missing[:3])}): "
        "evaluate both on the same split"
    )
  for rows, what, keys in ((answers, "answers", ["correct"]), (moments, "moments", _WINDOWS)):
    if any(key not in row for row in rows for key in keys):
      raise UserError(
          f"the dump of {what}: its rows have no {' and '.join(keys)}: give the dump of answers "
          "first, then that of --config.task=localisation"
      )
  located = {row["id"] for row in moments}
  unseen = [row for row in answers if row.get("video_missing") and row["id"] not in located]
  found = grounding(
      np.array([row["window"] for row in moments] + [(0.0, 0.0)] * len(unseen)),
      [row["moments"] for row in moments] + [[]] * len(unseen),
      correct=np.array([by_id[row["id"]]["correct"] for row in moments] + [False] * len(unseen)),
      given=np.arange(len(moments) + len(unseen)) < len(moments),
      clusters=np.array([str(row.get("video", row["id"])) for row in (*moments, *unseen)]),
      resamples=resamples,
  )
  return found | {
      "questions_without_video": len(unseen),
      "questions_without_moment": len(answers) - len(moments) - len(unseen),
  }


if __name__ == "__main__":
  app.run(main)
