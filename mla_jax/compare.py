"""Compares two runs on the same examples: python -m mla_jax.compare RUN_A RUN_B.

RUN_A and RUN_B are workdirs evaluated with --mode=eval, or two .jsonl dumps of evaluations.
Prints B minus A with a 95 % interval and a p-value (whole videos drawn and swapped together), and
the examples that flipped; the last line is JSON.
"""

import json
import pathlib
from typing import Any

from absl import app, flags

from mla_jax import log, whole_files
from mla_jax.errors import UserError, exit_on_user_error
from mla_jax.evals import comparison, dumps
from mla_jax.evals.comparison import Pairs
from mla_jax.evals.dumps import Row

_DATASET = flags.DEFINE_string(
    "dataset", None, "The <dataset>_<split> to compare, where both workdirs have several.")
_RESAMPLES = flags.DEFINE_integer("resamples", 10_000, "Draws of the interval and the p-value.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the draws.", lower_bound=0)
_OUT = flags.DEFINE_string("out", None, "File (.jsonl) for all examples that flipped.")

_SHOWN = 10


@exit_on_user_error
def main(argv: list[str]) -> None:
  if len(argv) != 3:
    raise UserError(
        "usage: python -m mla_jax.compare RUN_A RUN_B, two workdirs or two .jsonl dumps"
    )
  log.configure()
  paths = dumps.find_dumps(argv[1], argv[2], _DATASET.value)
  pairs = dumps.join(*map(dumps.read_dump, paths))
  result = comparison.compare(pairs, resamples=_RESAMPLES.value, seed=_SEED.value)
  gained, lost = comparison.flips(pairs)
  if _OUT.value:
    _write(pathlib.Path(_OUT.value), gained, lost)
  _print(result, gained, lost)
  print(json.dumps({"a": str(paths[0]), "b": str(paths[1])} | result))


def _print(result: dict[str, Any], gained: Pairs, lost: Pairs) -> None:
  print(f"{result['examples']:,} examples of {result['videos']:,} videos; differences are B - A")
  for name, found in result["metrics"].items():
    of = "" if found["examples"] == result["examples"] else f" (of {found['examples']:,})"
    print(_line(name, name + of, found))
  for kind, found in result["by_type"].items():
    for name in result["metrics"]:
      if name in found:
        label = f"  {kind or 'no type'}: {name} ({found[name]['examples']:,})"
        print(_line(name, label, found[name]))
  if result["not_compared"]:
    print(f"not compared, since one run alone has them: {', '.join(result['not_compared'])}")
  for name, pairs in (("gained: B alone is right", gained), ("lost: A alone is right", lost)):
    print(f"{len(pairs):,} {name}")
    for a, b in pairs[:_SHOWN]:
      print(f"  {a['id']}: {a.get('text', '')} {_said(a, b)}")


def _line(metric: str, label: str, found: dict[str, Any]) -> str:
  low, high = found["interval"]
  better = " (lower is better)" if comparison.lower_is_better(metric) else ""
  return (
      f"{label + better:32} A {found['a']:.2f}  B {found['b']:.2f}  {found['difference']:+.2f}"
      f" [{low:+.2f}, {high:+.2f}]  p={found['p_value']:.4f}"
  )


def _said(a: Row, b: Row) -> str:
  for key in ("predicted", "first", "rank"):
    if key in a and key in b:
      answer = f", answer {a['answer']!r}" if "answer" in a else f" for {a.get('video')}"
      return f"(A {a[key]!r}, B {b[key]!r}{answer})"
  return ""


def _write(path: pathlib.Path, gained: Pairs, lost: Pairs) -> None:
  rows = [
      {"direction": direction, "id": a["id"], "a": a, "b": b}
      for direction, pairs in (("gained", gained), ("lost", lost))
      for a, b in pairs
  ]
  _replace(path, "".join(json.dumps(row) + "\n" for row in rows))


def _replace(path: pathlib.Path, content: str) -> None:
  try:
    whole_files.write_text(path, content)
  except OSError as error:
    raise UserError(
        f"--out={path}: cannot be written ({error.strerror}): name a file in a folder that is there"
    ) from None


if __name__ == "__main__":
  app.run(main)
