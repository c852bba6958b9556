"""What two prepared splits share: python -m mla_jax.leakage DIR_A SPLIT_A DIR_B SPLIT_B.

DIR is a prepared dataset's folder (OUT/<family>/<task>): how much of split B (a test split) is in
split A (what a model is trained on). Prints counts and examples; the last line is JSON.
"""

import json
import pathlib
from typing import Any

from absl import app

from mla_jax import log
from mla_jax.errors import UserError, exit_on_user_error
from mla_jax.evals import leakage


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) != 5:
    raise UserError("usage: python -m mla_jax.leakage DIR_A SPLIT_A DIR_B SPLIT_B")
  log.configure()
  result = compare(argv[1], argv[2], argv[3], argv[4])
  _print(result)
  print(json.dumps(result))


def compare(
    directory_a: str | pathlib.Path, split_a: str, directory_b: str | pathlib.Path, split_b: str
) -> dict[str, Any]:
  """`evals.leakage.overlap` of two prepared splits, with their names and "same_family".

  Raises:
    UserError: no prepared texts, or no such split.
  """
  sides = [
      (pathlib.Path(directory_a).resolve(), split_a), (pathlib.Path(directory_b).resolve(), split_b)
  ]
  sets = [_read(directory, split) for directory, split in sides]
  families = {directory.parent.name for directory, _ in sides}
  names = [f"{directory.parent.name}/{directory.name}:{split}" for directory, split in sides]
  return {
      "a": names[0], "b": names[1], "same_family": len(families) == 1
  } | leakage.overlap(*sets[0], *sets[1])


def _read(directory: pathlib.Path, split: str) -> tuple[list[str], list[str]]:
  """The video and the text of every record of a split."""
  from mla_jax.data.records import TextStore  # Heavy, and not needed for --help.

  store = TextStore.open(directory)
  videos = store.video_ids(split)
  return videos, [record.text for record in store.read(split, range(len(videos)))]


def _print(result: dict[str, Any]) -> None:
  videos, texts = result["videos"], result["texts"]
  print(f"A {result['a']}: {videos['a']:,} videos, {texts['a']:,} texts")
  print(f"B {result['b']}: {videos['b']:,} videos, {texts['b']:,} texts")
  if not result["same_family"]:
    print("The families differ: equal ids need not be the same video, nor others different ones.")
  print(f"videos of B that are in A: {videos['shared']:,} ({', '.join(videos['examples'])})")
  print(f"texts of B about them: {texts['b_about_shared_videos']:,}")
  print(f"texts of B that are in A: {texts['b_in_a']:,}, of the same video"
        f" {texts['b_in_a_same_video']:,}")
  for text in texts["examples"]:
    print(f"  {text}")


if __name__ == "__main__":
  app.run(main)
