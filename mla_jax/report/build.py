"""Writes `report/`: what a run scored, how it got there, and examples to look at."""

import html
import pathlib
from typing import Any

from mla_jax import processes, whole_files
from mla_jax.data.sources import Texts
from mla_jax.metrics import read_metrics
from mla_jax.report import examples, page, plots
from mla_jax.run import Run
from mla_jax.tasks.base import Evaluation

_SPEED = (
    "step_time",
    "examples_per_second",
    "frames_per_second",
    "model_flops_utilisation",
    "input_wait_share",
    "host_rss_bytes",
    "device_peak_bytes",
)


def write_report(
    run: Run, params: Any, texts: Texts, evaluation: Evaluation, name: str
) -> pathlib.Path:
  """Writes `WORKDIR/report/<name>.html` and returns its path.

  All processes of a job look at the examples, the first one writes.

  Args:
    run: the run.
    params: the evaluated parameters.
    texts: the evaluated texts.
    evaluation: what was found on them.
    name: `<dataset>_<split>`.
  """
  directory = run.workdir / "report"
  history = read_metrics(run.workdir / "metrics.jsonl")
  matrix = (
      [plots.matrix(evaluation.similarity, f"Similarity, {name}")]
      if evaluation.similarity is not None
      else []
  )
  sections = [
      ("Result", _result(evaluation)),
      ("Training", page.pictures(plots.curves(history))),
      ("Similarity of texts and videos", page.pictures(matrix)),
      ("Examples", _examples(run, params, texts, evaluation)),
      ("Speed", page.numbers_table(speed(history))),
      ("Config", f"<pre>{html.escape(run.config.to_json_best_effort(indent=2))}</pre>"),
  ]
  path = directory / f"{name}.html"
  if not processes.is_first():
    return path
  directory.mkdir(parents=True, exist_ok=True)
  whole_files.write_text(path, page.page(f"{run.config.name}: {name}", sections))
  return path


def _result(evaluation: Evaluation) -> str:
  """Every number of the evaluation, with its interval where it has one."""
  return page.numbers_table(shown_numbers(evaluation.metrics))


def shown_numbers(metrics: dict[str, Any], prefix: str = "") -> dict[str, str]:
  """Numbers and words under "a/b/c" names, with the interval if there is one; flags if set."""
  rows: dict[str, str] = {}
  # QA has one interval, of its accuracy; the others one for each of their numbers.
  interval = metrics.get("interval", {})
  intervals = interval if isinstance(interval, dict) else {"accuracy": interval}
  for name, value in metrics.items():
    if isinstance(value, dict):
      rows |= shown_numbers(value, f"{prefix}{name}/") if name != "interval" else {}
    elif isinstance(value, bool):
      rows |= {f"{prefix}{name}": "yes"} if value else {}
    elif isinstance(value, str):
      rows[f"{prefix}{name}"] = value
    elif isinstance(value, (int, float)):
      low_high = intervals.get(name)
      span = f" ({page.shown(low_high[0])} to {page.shown(low_high[1])})" if low_high else ""
      rows[f"{prefix}{name}"] = page.shown(value) + span
  return rows


def speed(history: list[dict[str, Any]]) -> dict[str, Any]:
  """The last line that measured a step's time, and the last compilation."""
  found: dict[str, Any] = {}
  for names in (_SPEED, ("compile_seconds",)):
    last = [line for line in history if names[0] in line][-1:]
    found |= {name: line[name] for line in last for name in names if name in line}
  return found


def _examples(run: Run, params: Any, texts: Texts, evaluation: Evaluation) -> str:
  if run.reader.media is None:
    return ""
  with_video = [row for row in evaluation.rows if not row.get("video_missing")]
  rows = examples.choose(with_video, run.shown_examples)
  if not rows:
    return ""
  places = [row["place"] for row in rows]
  own = examples.pairs(run, params, texts, places, places)
  firsts = [row.get("first_place", row["place"]) for row in rows]
  found = examples.pairs(run, params, texts, places, firsts)
  parts = []
  for row, pair, other in zip(rows, own, found, strict=True):
    strips = [("its video; similarity of video segments and phrases", pair)]
    if not row["correct"] and "first" in row:
      strips.append((f"found first instead: {row['first']}", other))
    parts.append(page.example(_heading(row), row["correct"], strips))
  return "".join(parts)


def _heading(row: dict[str, Any]) -> str:
  if "predicted" in row:
    return f"{row['text']} - answer: {row['answer']}, said: {row['predicted']} ({row['video']})"
  return f"{row['text']} - rank {row['rank']:g} ({row['video']})"
